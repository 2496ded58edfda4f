"""Validates ballots, stores each decision and publishes it exactly once."""
