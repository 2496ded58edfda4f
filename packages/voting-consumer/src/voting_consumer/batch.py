"""Batches: records polled together, and the group generation in which they were polled."""

import sys
from collections.abc import Mapping

import attrs
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from voting_consumer.validation import BallotRecord
from voting_core import topics
from voting_core.database.decisions import RecordRange
from voting_core.exceptions import FatalError
from voting_core.kafka import is_unavailable, position
from voting_core.models import Coordinates
from voting_core.service.outage import OutageLog

POLL_SECONDS = 0.1
"""Time to wait for the first record of a batch."""

POLL_RECORDS = 500
BATCH_BYTES = 32 * 1024 * 1024

log = structlog.get_logger()


@attrs.frozen
class Batch:
    """Records polled together, with the group metadata of that moment.

    Attributes:
        records: In offset order within each partition.
        group_metadata: Lets Kafka check, at the commit, that this consumer still owned the
            partitions.
    """

    records: list[BallotRecord]
    group_metadata: bytes

    @property
    def ranges(self) -> list[RecordRange]:
        """The offsets from the first to the last record of each partition."""
        found: dict[int, RecordRange] = {}
        for record in self.records:
            at = record.coordinates
            start = found[at.partition].start if at.partition in found else at.offset
            found[at.partition] = RecordRange(at.topic_id, at.partition, start, at.offset + 1)
        return list(found.values())


def generation_of(group_metadata: bytes) -> int:
    """Return the group generation in librdkafka's serialized group metadata.

    The format is `CGMDv2:`, the generation as a 32-bit integer in native byte order, then names
    (`rd_kafka_consumer_group_metadata_write` in librdkafka's `rdkafka_cgrp.c`).

    Returns:
        The generation; -1 if the consumer is not a member of the group.

    Raises:
        FatalError: The format is unknown.
    """
    prefix, generation = group_metadata[:7], group_metadata[7:11]
    if prefix != b"CGMDv2:" or len(generation) != 4:
        raise FatalError(f"group metadata of an unknown format: {prefix!r}")
    return int.from_bytes(generation, sys.byteorder, signed=True)


class PartitionReader:
    """Reads the records of the assigned partitions of `voters_topic`."""

    def __init__(self, consumer: Consumer, batch_size: int, outage: OutageLog) -> None:
        """Wait for the first assignment.

        Args:
            consumer: Reports the end of a partition as an event.
            batch_size: Maximum number of records to read at a time.
            outage: Logs the outages of Kafka.
        """
        self._consumer = consumer
        self._outage = outage
        self._batch_size = batch_size
        self._topic_id = ""
        self._assigned: frozenset[int] | None = None
        self._at_end: set[int] = set()

    @property
    def has_caught_up(self) -> bool:
        """Whether all assigned partitions are read to their end; False before an assignment."""
        return self._assigned is not None and self._at_end >= self._assigned

    def assign(self, topic_id: str, offsets: Mapping[int, int]) -> None:
        """Start each partition at an offset."""
        self._topic_id = topic_id
        self._assigned = frozenset(offsets)
        self._at_end = set()
        self._consumer.assign(
            [TopicPartition(topics.VOTERS.name, *start) for start in offsets.items()]
        )

    def unassign(self) -> None:
        """Record that the partitions were revoked; an assignment follows, perhaps an empty one."""
        self._assigned = None

    def read(self) -> list[BallotRecord]:
        """Return the records that have arrived, after a wait for the first one.

        More arrive while a batch is decided, so the batches grow with the load. Some records may be
        of partitions that were revoked during the call.

        Raises:
            FatalError: The topic cannot be read.
        """
        records: list[BallotRecord] = []
        size = 0
        while len(records) < self._batch_size and size < BATCH_BYTES:
            # `consume` waits until it has as many messages as asked for.
            limit = min(POLL_RECORDS, self._batch_size - len(records)) if records else 1
            messages = self._consumer.consume(limit, 0 if records else POLL_SECONDS)
            for message in messages:
                record = self._record_of(message)
                if record is not None:
                    records.append(record)
                    size += len(record.value or b"")
            if not messages or not records:
                break
        return records

    def _record_of(self, message: Message) -> BallotRecord | None:
        """Return a message as a record; None if it is an event."""
        error = message.error()
        if error is not None:
            self._handle_event(message, error)
            return None
        partition, offset = position(message)
        self._at_end.discard(partition)
        self._outage.recovered()
        _, timestamp = message.timestamp()
        return BallotRecord(
            Coordinates(self._topic_id, partition, offset), timestamp, message.value()
        )

    def _handle_event(self, message: Message, error: KafkaError) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            self._at_end.add(position(message)[0])
            self._outage.recovered()
        elif error.code() == KafkaError._MAX_POLL_EXCEEDED:
            log.warning("left the group: a batch took too long", error=error.str())
        elif is_unavailable(KafkaException(error)):
            self._outage.failed(KafkaException(error))
        else:
            raise FatalError(f"cannot read {topics.VOTERS.name}: {error.str()}")
