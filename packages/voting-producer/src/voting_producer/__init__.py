"""Registers candidates and voters, and sends the ballots to Kafka."""
