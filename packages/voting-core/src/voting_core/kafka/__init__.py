"""Kafka clients shared by the services: configuration, administration, reader and producer."""

from voting_core.kafka.admin import (
    OffsetRange,
    check_config,
    check_topics,
    connect_admin,
    create_topics,
    delete_topics,
    existing_topics,
    is_unavailable,
    offset_ranges,
    set_config,
    topic_ids,
    topic_offset_ranges,
)
from voting_core.kafka.config import client_config
from voting_core.kafka.election import (
    PublishedElections,
    decode_published,
    publish_election,
    read_published_elections,
)
from voting_core.kafka.groups import GroupMember, group_members, reads_ballots
from voting_core.kafka.producer import ReliableProducer
from voting_core.kafka.reader import (
    open_reader,
    position,
    read_checkpoints,
    read_ranges,
    read_to_end,
    topic_partition,
)

__all__ = [
    "GroupMember",
    "OffsetRange",
    "PublishedElections",
    "ReliableProducer",
    "check_config",
    "check_topics",
    "client_config",
    "connect_admin",
    "create_topics",
    "decode_published",
    "delete_topics",
    "existing_topics",
    "group_members",
    "is_unavailable",
    "offset_ranges",
    "open_reader",
    "position",
    "publish_election",
    "read_checkpoints",
    "read_published_elections",
    "read_ranges",
    "read_to_end",
    "reads_ballots",
    "set_config",
    "topic_ids",
    "topic_offset_ranges",
    "topic_partition",
]
