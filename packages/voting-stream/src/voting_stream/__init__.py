"""Counts the votes on `votes_topic` with Spark Structured Streaming."""
