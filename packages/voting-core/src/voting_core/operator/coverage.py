"""The records that Kafka covers: which are decided and published, and which are counted."""

from collections.abc import Mapping

import attrs

Partition = tuple[str, int]
"""A partition of a topic: the topic's id and the partition's number."""


@attrs.frozen
class CountedPartition:
    """The records of one partition of `votes_topic` that the aggregates count."""

    partition: int
    votes: int
    last_offset: int


@attrs.frozen
class Coverage:
    """The records that are published and counted, according to Kafka.

    Attributes:
        next_offsets: First offset of each partition of `voters_topic` whose decision is not
            published.
        counted: The counted records of `votes_topic`, ordered by partition.
    """

    next_offsets: Mapping[Partition, int]
    votes_topic_id: str
    counted: tuple[CountedPartition, ...]
