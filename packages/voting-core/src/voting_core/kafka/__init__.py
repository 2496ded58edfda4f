"""Kafka clients shared by the services: configuration, administration, reader and producer."""

from voting_core.kafka.admin import (
    OffsetRange,
    check_topics,
    connect_admin,
    create_topics,
    delete_topics,
    existing_topics,
    offset_ranges,
    topic_ids,
)
from voting_core.kafka.config import client_config
from voting_core.kafka.producer import ReliableProducer
from voting_core.kafka.reader import open_reader, position, read_checkpoints, read_to_end

__all__ = [
    "OffsetRange",
    "ReliableProducer",
    "check_topics",
    "client_config",
    "connect_admin",
    "create_topics",
    "delete_topics",
    "existing_topics",
    "offset_ranges",
    "open_reader",
    "position",
    "read_checkpoints",
    "read_to_end",
    "topic_ids",
]
