"""Registers candidates and voters, and sends their ballots to Kafka."""
