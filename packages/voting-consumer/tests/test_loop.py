"""The loop's steps in their order, with a consumer that the test controls."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import attrs
import pytest
from confluent_kafka import KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient

from voting_consumer import loop
from voting_consumer.decisions import DecidedRange, Decider
from voting_consumer.loop import BallotConsumer
from voting_consumer.publisher import Publisher, TransactionAborted
from voting_consumer.resume import TopicIds
from voting_consumer.settings import ConsumerSettings
from voting_consumer.validation import BallotRecord
from voting_core.checkpoint import OutputPosition, PartitionCheckpoint
from voting_core.database.decisions import RecordRange

Step = Callable[["FakeConsumer"], list["FakeMessage"]]


@attrs.frozen
class FakeMessage:
    """A record of partition 0."""

    offset_: int

    def error(self) -> KafkaError | None:
        """Return no event."""
        return None

    def partition(self) -> int:
        """Return the partition."""
        return 0

    def offset(self) -> int:
        """Return the offset."""
        return self.offset_

    def timestamp(self) -> tuple[int, int]:
        """Return the type and the time of the timestamp."""
        return 1, 1000

    def value(self) -> bytes:
        """Return the value."""
        return b"value"


class FakeConsumer:
    """A member of the group in generation 1; each poll runs a step of the test."""

    steps: Sequence[Step]
    assigned: list[list[int]]

    def __init__(self, config: dict[str, Any]) -> None:
        self.callbacks: dict[str, Callable[..., None]] = {}
        self.polls = iter(self.steps)

    def subscribe(self, topics: list[str], **callbacks: Callable[..., None]) -> None:
        """Keep the callbacks."""
        self.callbacks = callbacks

    def rebalance(self) -> None:
        """Revoke partition 0 and assign it again."""
        partition = TopicPartition("voters_topic", 0)
        self.callbacks["on_revoke"](self, [partition])
        self.callbacks["on_assign"](self, [partition])

    def consume(self, limit: int, timeout: float) -> list[FakeMessage]:
        """Run the next step and return its messages."""
        return next(self.polls)(self)

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Keep the offsets."""
        self.assigned.append([partition.offset for partition in partitions])

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        """Return stable offsets."""
        return partitions

    def consumer_group_metadata(self) -> bytes:
        """Return the metadata of generation 1."""
        return b"CGMDv2:" + (1).to_bytes(4, sys.byteorder)

    def memberid(self) -> str:
        """Return an id, but not before the first rebalance."""
        return "member" if self.assigned else ""


class FakeDecider:
    """Decides nothing, and keeps the offsets of the records of each batch."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def decide(
        self, records: Sequence[BallotRecord], ranges: Sequence[RecordRange]
    ) -> list[DecidedRange]:
        """Return empty decisions."""
        self.batches.append([record.coordinates.offset for record in records])
        return [DecidedRange(each, [], []) for each in ranges]


class FakePublisher:
    """Aborts the transactions at some positions in the order of calls; keeps the others' ends."""

    def __init__(self, *aborted: int) -> None:
        self.aborted = aborted
        self.calls = 0
        self.published: list[int] = []

    def publish(
        self,
        decisions: Sequence[tuple[DecidedRange, PartitionCheckpoint]],
        next_offsets: list[TopicPartition],
        group_metadata: bytes,
    ) -> None:
        """Abort, or keep the next offsets."""
        self.calls += 1
        if self.calls in self.aborted:
            raise TransactionAborted
        self.published += [each.offset for each in next_offsets]


def records(*offsets: int) -> Step:
    """A poll that returns records."""
    return lambda _: [FakeMessage(offset) for offset in offsets]


def joining(consumer: FakeConsumer) -> list[FakeMessage]:
    """A poll in which the group assigns the partition."""
    consumer.rebalance()
    return []


def records_across_a_rebalance(consumer: FakeConsumer) -> list[FakeMessage]:
    """A poll that returns records that were fetched before the partition was revoked."""
    consumer.rebalance()
    return [FakeMessage(5), FakeMessage(6)]


def records_after_a_revocation(consumer: FakeConsumer) -> list[FakeMessage]:
    """A poll that returns records of a partition that now belongs to another member."""
    consumer.callbacks["on_lost"](consumer, [TopicPartition("voters_topic", 0)])
    return [FakeMessage(5)]


@attrs.frozen
class Run:
    """What a consumer did in a number of polls."""

    decided: list[list[int]]
    published: list[int]
    assigned: list[list[int]]


def run_steps(
    monkeypatch: pytest.MonkeyPatch,
    *steps: Step,
    aborted: Sequence[int] = (),
    heartbeat: Path | None = None,
) -> Run:
    """Run a consumer whose checkpoint is at offset 5 through these polls."""
    assigned: list[list[int]] = []
    monkeypatch.setattr(FakeConsumer, "steps", steps, raising=False)
    monkeypatch.setattr(FakeConsumer, "assigned", assigned, raising=False)
    monkeypatch.setattr(loop, "Consumer", FakeConsumer)
    monkeypatch.setattr(loop, "find_topic_ids", lambda _: TopicIds("T", "V", "R"))
    checkpoint = PartitionCheckpoint("T", 0, OutputPosition("V", 5), OutputPosition("R", 5))
    monkeypatch.setattr(loop, "read_checkpoints", lambda *_: {0: checkpoint})
    decider, publisher = FakeDecider(), FakePublisher(*aborted)
    consumer = BallotConsumer(
        ConsumerSettings(heartbeat=heartbeat),
        cast(AdminClient, None),
        cast(Decider, decider),
        cast(Publisher, publisher),
    )
    polls = iter(range(len(steps) + 1))
    consumer.run(lambda: next(polls) == len(steps))
    return Run(decider.batches, publisher.published, assigned)


def test_each_batch_is_decided_and_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """The partition starts at its checkpoint, and the group's offsets follow each batch."""
    run = run_steps(monkeypatch, joining, records(5, 6), records(7))
    assert run == Run(decided=[[5, 6], [7]], published=[7, 8], assigned=[[5]])


def test_a_batch_polled_across_a_rebalance_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its records may belong to another member by now; the partition starts again."""
    run = run_steps(monkeypatch, joining, records_across_a_rebalance, records(5, 6))
    assert run.decided == [[5, 6]]
    assert run.assigned == [[5], [5], [5]]


def test_a_batch_of_a_revoked_partition_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A member without partitions has nothing to resume."""
    run = run_steps(monkeypatch, joining, records_after_a_revocation)
    assert run == Run(decided=[], published=[], assigned=[[5]])


def test_an_aborted_batch_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an aborted transaction the partition starts again at its checkpoint."""
    run = run_steps(monkeypatch, joining, records(5, 6), records(5, 6), aborted=[1])
    assert run == Run(decided=[[5, 6], [5, 6]], published=[7], assigned=[[5], [5]])


def test_the_heartbeat_begins_with_the_membership(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A consumer that waits for its group in vain is not healthy."""
    heartbeat = tmp_path / "heartbeat"
    run_steps(monkeypatch, records(), heartbeat=heartbeat)
    assert not heartbeat.exists()
    run_steps(monkeypatch, records(), joining, heartbeat=heartbeat)
    assert heartbeat.exists()
