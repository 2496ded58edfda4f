"""The exactly-once loop: poll, decide, publish, and resume after whatever went wrong.

The decision is made final in PostgreSQL first, and repeatable from there: a crash at any point
repeats the steps behind it, which find the decisions made and publish those.
"""

import sys
import time
from collections.abc import Callable

import attrs
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from voting_consumer.decisions import Decider
from voting_consumer.publisher import Publisher, TransactionAborted
from voting_consumer.resume import TopicIds, find_topic_ids, resume_points
from voting_consumer.settings import ConsumerSettings
from voting_consumer.validation import Record
from voting_core import topics
from voting_core.checkpoint import PartitionCheckpoint
from voting_core.database.decisions import RecordRange
from voting_core.exceptions import FatalError
from voting_core.kafka import client_config, position, read_checkpoints
from voting_core.models import Coordinates
from voting_core.service.health import Heartbeat

__all__ = ["BallotConsumer", "Batch", "generation_of"]

POLL_SECONDS = 0.1
"""How long to wait for more records before deciding on those that came."""

POLL_RECORDS = 500
BATCH_BYTES = 32 * 1024 * 1024
TRY_SECONDS = 15.0
STABLE_SECONDS = 60.0

log = structlog.get_logger()


@attrs.frozen
class Batch:
    """Records polled together, with the group metadata of that moment.

    Attributes:
        records: Lowest offset first within each partition.
        group_metadata: Proves at the commit that the partitions were still ours.
    """

    records: list[Record]
    group_metadata: bytes

    @property
    def ranges(self) -> list[RecordRange]:
        """What the records span, a range for each partition."""
        found: dict[int, RecordRange] = {}
        for record in self.records:
            place = record.coordinates
            known = found.get(place.partition)
            start = known.start if known else place.offset
            found[place.partition] = RecordRange(
                place.topic_id, place.partition, start, place.offset + 1
            )
        return list(found.values())


def generation_of(group_metadata: bytes) -> int:
    """Return the group generation in librdkafka's serialized group metadata; -1 is no member.

    The format is `CGMDv2:`, the generation as a 32-bit integer of this machine's byte order, then
    names (rd_kafka_consumer_group_metadata_write in librdkafka's rdkafka_cgrp.c).
    """
    prefix, generation = group_metadata[:7], group_metadata[7:11]
    if prefix != b"CGMDv2:" or len(generation) != 4:
        raise FatalError(f"group metadata of an unknown format: {prefix!r}")
    return int.from_bytes(generation, sys.byteorder, signed=True)


class BallotConsumer:
    """One member of the consumer group."""

    def __init__(
        self,
        settings: ConsumerSettings,
        admin: AdminClient,
        decider: Decider,
        publisher: Publisher,
    ) -> None:
        self._settings = settings
        self._admin = admin
        self._decider = decider
        self._publisher = publisher
        self._heartbeat = Heartbeat(settings.heartbeat)
        self._ids: TopicIds | None = None
        self._progress: dict[int, PartitionCheckpoint] = {}
        self._assignments = 0
        self._at_end: set[int] = set()
        self._consumer = Consumer(
            client_config(
                settings.kafka,
                group_id=settings.group,
                client_id=settings.transactional_id,
                enable_auto_commit=False,
                # With it, asking for the group's offsets waits for transactions that still
                # write them.
                isolation_level="read_committed",
                auto_offset_reset="error",
                enable_partition_eof=True,
                partition_assignment_strategy="range",
                session_timeout_ms=int(settings.session_timeout * 1000),
                heartbeat_interval_ms=int(settings.session_timeout * 1000 / 5),
                queued_max_messages_kbytes=16_384,
            )
        )

    def run(self, stopping: Callable[[], bool]) -> None:
        """Decide on ballots until asked to stop, or until none has come for `until_idle`.

        Raises:
            FatalError: Going on could count wrongly.
            UnreachableError: PostgreSQL has not answered for minutes.
        """
        self._consumer.subscribe(
            [topics.VOTERS.name],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )
        try:
            report = _Report()
            busy = time.monotonic()
            while not stopping():
                batch = self.poll()
                if self._is_member():
                    self._heartbeat.beat()
                if batch is not None:
                    self.decide_and_publish(batch)
                    report.count(len(batch.records))
                if batch is not None or not self._has_caught_up():
                    busy = time.monotonic()
                elif self._idle_enough(time.monotonic() - busy):
                    log.info("idle", seconds=self._settings.until_idle)
                    return
        finally:
            self.close()

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _is_member(self) -> bool:
        return bool(self._consumer.memberid())

    def _has_caught_up(self) -> bool:
        return self._assignments > 0 and self._at_end >= self._progress.keys()

    def _idle_enough(self, seconds: float) -> bool:
        return self._settings.until_idle is not None and seconds >= self._settings.until_idle

    def poll(self) -> Batch | None:
        """Return the next records, or None when there are none, or they may not be ours."""
        assignments = self._assignments
        records: list[Record] = []
        size = 0
        while len(records) < self._settings.batch_size and size < BATCH_BYTES:
            wanted = min(POLL_RECORDS, self._settings.batch_size - len(records))
            messages = self._consumer.consume(wanted, POLL_SECONDS)
            for message in messages:
                record = self._read(message)
                if record is not None:
                    records.append(record)
                    size += len(record.value or b"")
            if len(messages) < wanted:
                break
        group_metadata = self._consumer.consumer_group_metadata()
        if not records:
            return None
        if assignments != self._assignments or generation_of(group_metadata) < 0:
            # consume() may return records of partitions that were revoked while it ran.
            log.info("batch dropped: the assignment has changed", records=len(records))
            if self._progress:
                self.resume(list(self._progress))
            return None
        return Batch(records, group_metadata)

    def _read(self, message: Message) -> Record | None:
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                self._at_end.add(position(message)[0])
                return None
            if error.retriable() or error.code() in (
                KafkaError._MAX_POLL_EXCEEDED,
                KafkaError._TRANSPORT,
                KafkaError._ALL_BROKERS_DOWN,
            ):
                log.warning("Kafka trouble", error=error.str())
                return None
            raise FatalError(f"cannot read {topics.VOTERS.name}: {error.str()}")
        assert self._ids is not None
        partition, offset = position(message)
        self._at_end.discard(partition)
        _, timestamp = message.timestamp()
        return Record(
            Coordinates(self._ids.voters, partition, offset),
            timestamp,
            message.value(),
        )

    def decide_and_publish(self, batch: Batch) -> None:
        """Decide on a batch and publish the decisions; resume if its transaction was aborted.

        Raises:
            FatalError: The transaction cannot be completed.
            UnreachableError: PostgreSQL has not answered for minutes.
        """
        decided = self._decider.decide(batch.records, batch.ranges)
        offsets = [TopicPartition(topics.VOTERS.name, r.partition, r.end) for r in batch.ranges]
        before = [(d, self._progress[d.records.partition]) for d in decided]
        try:
            self._publisher.publish(before, offsets, batch.group_metadata)
        except TransactionAborted:
            self.resume(list(self._progress))
            return
        for ranged, progress in before:
            self._progress[progress.partition] = progress.advanced_to(ranged.records.end)

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._assignments += 1
        self.resume([place.partition for place in partitions])

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        # Callbacks run inside consume(), when no transaction is open: there is nothing to finish.
        self._assignments += 1
        self._progress = {}
        log.info("partitions revoked", partitions=[place.partition for place in partitions])

    def resume(self, partitions: list[int]) -> None:
        """Start each partition where `voting_progress` says."""
        self.await_stable_offsets(partitions)
        self._ids = find_topic_ids(self._admin)
        recorded = read_checkpoints(self._settings.kafka, self._admin, self._ids.voters)
        self._progress = resume_points(partitions, recorded, self._ids)
        self._at_end = set()
        self._consumer.assign(
            [
                TopicPartition(topics.VOTERS.name, partition, progress.next_offset)
                for partition, progress in self._progress.items()
            ]
        )
        log.info(
            "resuming",
            offsets={partition: p.next_offset for partition, p in self._progress.items()},
        )

    def await_stable_offsets(self, partitions: list[int]) -> None:
        """Wait until no transaction of a former owner of the partitions is open.

        Raises:
            FatalError: One is still open after a minute, though its time-out is shorter.
        """
        places = [TopicPartition(topics.VOTERS.name, partition) for partition in partitions]
        deadline = time.monotonic() + STABLE_SECONDS
        while places:
            try:
                answers = self._consumer.committed(places, timeout=TRY_SECONDS)
                errors = [answer.error for answer in answers if answer.error is not None]
            except KafkaException as error:
                errors = [error.args[0]]
            if not errors:
                return
            if time.monotonic() > deadline:
                raise FatalError(f"the group's offsets stay unstable: {errors[0].str()}")
            log.info("waiting for stable offsets", error=errors[0].str())


class _Report:
    """Says now and then how many records were decided."""

    EVERY_SECONDS = 5.0

    def __init__(self) -> None:
        self._total = 0
        self._since = time.monotonic()
        self._new = 0

    def count(self, records: int) -> None:
        self._total += records
        self._new += records
        elapsed = time.monotonic() - self._since
        if elapsed >= self.EVERY_SECONDS:
            log.info("decided", records=self._total, records_per_second=round(self._new / elapsed))
            self._since, self._new = time.monotonic(), 0
