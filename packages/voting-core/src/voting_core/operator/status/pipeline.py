"""The state of the pipeline according to Kafka: what is decided, published and counted."""

from collections.abc import Mapping
from typing import Any

import attrs
from confluent_kafka import IsolationLevel, Message
from confluent_kafka.admin import AdminClient

from voting_core import topics
from voting_core.aggregates import AggregateView
from voting_core.checkpoint import PublishedCheckpoints
from voting_core.election import Election
from voting_core.exceptions import SerializationError
from voting_core.foreign import ForeignRecord, ForeignRecords
from voting_core.kafka import (
    OffsetRange,
    decode_published,
    position,
    read_ranges,
    topic_ids,
    topic_offset_ranges,
    topic_partition,
)
from voting_core.operator.coverage import CountedPartition, Coverage
from voting_core.operator.published_records import read_published_vote
from voting_core.operator.reconcile.watermark import partition_watermarks
from voting_core.operator.status.backlog import Backlog, count_backlogs
from voting_core.operator.transactions import find_held_back
from voting_core.service.settings import KafkaSettings

READ_SECONDS = 5.0

_AGGREGATES = frozenset(topic.name for topic in topics.AGGREGATES)
Partition = tuple[str, int]


@attrs.frozen(kw_only=True)
class KafkaStatus:
    """The state of the pipeline according to Kafka.

    Attributes:
        undecided: Records of `voters_topic` whose decisions are not published.
        untallied: Votes on `votes_topic` that `aggregated_progress` does not count.
        decided_at: When the last checkpoint of each partition of `voters_topic` was written, in
            seconds since 1970.
        tallied_at: When the newest total was written, in seconds since 1970.
        sums: The sum of the totals of each grouping; see `AggregateView.sums`.
        foreign: Records that the services did not write.
        held_back: The partitions that an open transaction holds back, perhaps for a moment, with
            the last stable offset of each.
        topic_ids: The id of each topic by name.
        elections: The elections on `voting_election` by id.
    """

    coverage: Coverage
    undecided: Backlog = attrs.field(factory=Backlog)
    untallied: Backlog = attrs.field(factory=Backlog)
    decided_at: Mapping[int, float] = attrs.field(factory=dict)
    tallied_at: float | None = None
    sums: Mapping[str, int] = attrs.field(factory=dict)
    foreign: ForeignRecords = attrs.field(factory=ForeignRecords)
    held_back: Mapping[Partition, int] = attrs.field(factory=dict)
    topic_ids: Mapping[str, str] = attrs.field(factory=dict)
    elections: Mapping[str, Election] = attrs.field(factory=dict)

    @property
    def waiting(self) -> int:
        """The number of records that wait for a decision, or at least that many."""
        return self.undecided.records

    @property
    def last_decision_at(self) -> float | None:
        """When the last decision was published, in seconds since 1970."""
        return max(self.decided_at.values(), default=None)

    @property
    def tallied(self) -> int:
        """The number of votes that the aggregates count."""
        return sum(partition.votes for partition in self.coverage.counted)

    def in_flight_reasons(self, votes: int) -> list[str]:
        """Return what is in flight, given the number of votes in the database."""
        reasons = []
        if self.waiting or not self.undecided.is_complete:
            reasons.append(
                f"{self.undecided} records of voters_topic wait to be decided and published"
            )
        if self.held_back:
            held_back = ", ".join(f"{topic} {number}" for topic, number in self.held_back)
            reasons.append(f"records behind an open transaction are not readable: {held_back}")
        if self.tallied != votes:
            reasons.append(
                f"the aggregates count {self.tallied:,} votes, the database has {votes:,}"
            )
        return reasons


def kafka_status(settings: KafkaSettings, admin: AdminClient) -> KafkaStatus:
    """Read the state of the pipeline from Kafka, without reading a log topic from its beginning.

    Raises:
        TopicError: A topic does not exist.
        UnreachableError: A topic cannot be read.
        KafkaException: The brokers are unreachable.
    """
    names = [topic.name for topic in topics.ALL_TOPICS]
    ids = topic_ids(admin, topics.ALL_TOPICS)
    stable = topic_offset_ranges(admin, names, IsolationLevel.READ_COMMITTED)
    ends = topic_offset_ranges(admin, names)
    compacted = _CompactedTopics(AggregateView(ids[topics.VOTES.name]), PublishedCheckpoints(ids))
    small = {
        each: offsets for each, offsets in stable.items() if each[0] in topics.COMPACTED_TOPICS
    }
    for message in read_ranges(settings, small, timeout=READ_SECONDS):
        compacted.apply(message)
    return compacted.status(settings, ids, stable, ends)


@attrs.define
class _CompactedTopics:
    """The content of the compacted topics, collected record by record."""

    view: AggregateView
    checkpoints: PublishedCheckpoints
    elections: dict[str, Election] = attrs.field(factory=dict)
    foreign: ForeignRecords = attrs.field(factory=ForeignRecords)
    decided_at: dict[Partition, float] = attrs.field(factory=dict)
    tallied_at: float | None = None

    def apply(self, message: Message) -> None:
        """Apply a record; one that the services did not write is counted only."""
        topic, _ = topic_partition(message)
        time = message.timestamp()[1] / 1000
        try:
            if topic in _AGGREGATES:
                raised = self.view.apply(topic, message.key(), message.value())
                if raised and topic == topics.AGGREGATED_PROGRESS.name:
                    self.tallied_at = max(self.tallied_at or 0, time)
            elif topic == topics.VOTING_PROGRESS.name:
                checkpoint = self.checkpoints.apply(message.key(), message.value())
                self.decided_at[checkpoint.voters_topic_id, checkpoint.partition] = time
            else:
                election = decode_published(message)
                self.elections[election.election_id] = election
        except SerializationError as error:
            self.foreign.add(ForeignRecord(topic, *position(message), str(error)))

    def status(
        self,
        settings: KafkaSettings,
        ids: Mapping[str, str],
        stable: Mapping[Partition, OffsetRange],
        ends: Mapping[Partition, OffsetRange],
    ) -> KafkaStatus:
        """Return the state of the pipeline, after counting the records that wait."""
        votes_id = ids[topics.VOTES.name]
        progress = self.view.rows(topics.AGGREGATED_PROGRESS.name)
        self._add_skipped_by_stream(progress)

        def is_waiting(message: Message) -> bool:
            topic, _ = topic_partition(message)
            if topic == topics.VOTERS.name:
                return True
            try:
                read_published_vote(message, votes_id)
            except SerializationError as error:
                self.foreign.add(ForeignRecord(topic, *position(message), str(error)))
                return False
            return True

        starts = {**self._decided_ends(ids, stable), **_tallied_ends(progress)}
        ranges = {
            each: attrs.evolve(offsets, start=max(offsets.start, starts.get(each, 0)))
            for each, offsets in stable.items()
            if each[0] in (topics.VOTERS.name, topics.VOTES.name)
        }
        backlogs = count_backlogs(settings, ranges, is_waiting)
        counted = [
            CountedPartition(row["partition"], row["total_votes"], row["last_offset"])
            for row in progress
            if row["total_votes"]
        ]
        return KafkaStatus(
            coverage=Coverage(
                self.checkpoints.next_offsets,
                votes_id,
                tuple(sorted(counted, key=lambda each: each.partition)),
            ),
            undecided=backlogs[topics.VOTERS.name],
            untallied=backlogs[topics.VOTES.name],
            decided_at={
                number: time
                for (topic_id, number), time in self.decided_at.items()
                if topic_id == ids[topics.VOTERS.name]
            },
            tallied_at=self.tallied_at,
            sums=self.view.sums(),
            foreign=self.foreign,
            held_back=find_held_back(stable, ends),
            topic_ids=ids,
            elections=self.elections,
        )

    def _add_skipped_by_stream(self, progress: list[dict[str, Any]]) -> None:
        for row in progress:
            if number := row.get("foreign_records", 0):
                first = row.get("first_foreign_offset", -1)
                reason = "the stream skipped it: not a vote that the consumer wrote"
                self.foreign.add(
                    ForeignRecord(topics.VOTES.name, row["partition"], first, reason), number
                )

    def _decided_ends(
        self, ids: Mapping[str, str], stable: Mapping[Partition, OffsetRange]
    ) -> dict[Partition, int]:
        """Return the first offset of each partition of `voters_topic` that is to be published."""
        partitions = [number for topic, number in stable if topic == topics.VOTERS.name]
        watermarks = partition_watermarks(
            partitions,
            self.checkpoints.present,
            ids[topics.VOTES.name],
            ids[topics.REJECTED_VOTES.name],
        )
        return {
            (topics.VOTERS.name, number): min(each.votes, each.rejections)
            for number, each in watermarks.items()
        }


def _tallied_ends(progress: list[dict[str, Any]]) -> dict[Partition, int]:
    return {(topics.VOTES.name, row["partition"]): row["last_offset"] + 1 for row in progress}
