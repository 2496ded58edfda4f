"""Batches in flight, with a decider and a publisher that the test controls."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import pytest
from confluent_kafka import TopicPartition

from voting_consumer.batch import Batch
from voting_consumer.decisions import DecidedRange, Decider
from voting_consumer.in_flight import BatchesInFlight, Checkpoints
from voting_consumer.publisher import Publisher, TransactionAborted
from voting_consumer.validation import BallotRecord
from voting_core.checkpoint import OutputPosition, PartitionCheckpoint
from voting_core.database.decisions import RecordRange
from voting_core.exceptions import ElectionError, FatalError, UnreachableError
from voting_core.models import Coordinates
from voting_core.service.background import run_in_background

TIMEOUT_SECONDS = 10.0


def checkpoints_at(offset: int) -> Checkpoints:
    """The checkpoints when everything of partition 0 before an offset is published."""
    position = OutputPosition("V", offset), OutputPosition("R", offset)
    return {0: PartitionCheckpoint("T", 0, *position)}


def batch_at(offset: int) -> Batch:
    """A batch of one record."""
    return Batch([BallotRecord(Coordinates("T", 0, offset), 0, b"")], b"metadata")


class Gate:
    """Steps that wait for the test: each calls `pass_through` with its name."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.reached: list[str] = []
        self.opened: dict[str, Exception | None] = {}

    def pass_through(self, name: str) -> None:
        """Wait until the step is opened; raise the error that it was opened with, if any."""
        with self.changed:
            self.reached.append(name)
            self.changed.notify_all()
            assert self.changed.wait_for(lambda: name in self.opened, TIMEOUT_SECONDS)
            if (error := self.opened[name]) is not None:
                raise error

    def open(self, *names: str, error: Exception | None = None) -> None:
        """Let steps end."""
        with self.changed:
            self.opened |= dict.fromkeys(names, error)
            self.changed.notify_all()

    def await_reached(self, name: str) -> list[str]:
        """Wait for a step; return the steps that were reached before it."""
        with self.changed:
            assert self.changed.wait_for(lambda: name in self.reached, TIMEOUT_SECONDS)
            return self.reached[: self.reached.index(name)]


class GatedDecider:
    """Decides when the test lets it."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.decided_ends: list[Mapping[int, int]] = []

    def decide(
        self,
        records: Sequence[BallotRecord],
        ranges: Sequence[RecordRange],
        decided_ends: Mapping[int, int],
    ) -> list[DecidedRange]:
        """Return empty decisions."""
        self.decided_ends.append(decided_ends)
        self.gate.pass_through(f"decide {ranges[0].start}")
        return [DecidedRange(each, [], []) for each in ranges]


class GatedPublisher:
    """Publishes when the test lets it."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.published: list[tuple[int, int]] = []

    def publish(
        self,
        decisions: Sequence[tuple[DecidedRange, PartitionCheckpoint]],
        next_offsets: list[TopicPartition],
        group_metadata: bytes,
    ) -> None:
        """Keep the checkpoint before the batch, and the group's next offset."""
        (_, before), (after,) = decisions[0], next_offsets
        self.gate.pass_through(f"publish {before.next_offset}")
        self.published.append((before.next_offset, after.offset))


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate whose steps all end with the test."""
    gate = Gate()
    yield gate
    gate.open(*(f"{step} {offset}" for step in ("decide", "publish") for offset in range(10)))


@pytest.fixture
def decider(gate: Gate) -> GatedDecider:
    """A decider behind the gate."""
    return GatedDecider(gate)


@pytest.fixture
def publisher(gate: Gate) -> GatedPublisher:
    """A publisher behind the gate."""
    return GatedPublisher(gate)


@pytest.fixture
def abandoned() -> threading.Event:
    """Not set."""
    return threading.Event()


@pytest.fixture
def batches(
    decider: GatedDecider, publisher: GatedPublisher, abandoned: threading.Event
) -> BatchesInFlight:
    """No batches yet."""
    return BatchesInFlight(cast(Decider, decider), cast(Publisher, publisher), abandoned)


def test_a_batch_is_decided_while_the_one_before_is_published(
    gate: Gate, decider: GatedDecider, publisher: GatedPublisher, batches: BatchesInFlight
) -> None:
    """It is published after that one, with the checkpoints after that one."""
    gate.open("decide 5", "decide 6", "publish 6")
    batches.begin(batch_at(5), checkpoints_at(5))
    batches.begin(batch_at(6), checkpoints_at(5))
    assert gate.await_reached("decide 6")[0] == "decide 5"
    gate.await_reached("publish 5")
    assert not batches.first_is_done
    assert publisher.published == []
    gate.open("publish 5")
    assert [batches.finish_first(), batches.finish_first()] == [
        (1, checkpoints_at(6)),
        (1, checkpoints_at(7)),
    ]
    assert publisher.published == [(5, 6), (6, 7)]
    assert decider.decided_ends == [{0: 5}, {0: 6}]


def test_batches_are_decided_one_at_a_time(gate: Gate, batches: BatchesInFlight) -> None:
    """The decisions on a partition are made in offset order."""
    batches.begin(batch_at(5), checkpoints_at(5))
    gate.await_reached("decide 5")
    second = threading.Thread(target=batches.begin, args=(batch_at(6), checkpoints_at(5)))
    second.start()
    second.join(0.05)
    assert second.is_alive()
    gate.open("decide 5")
    second.join(TIMEOUT_SECONDS)
    assert gate.await_reached("decide 6")[0] == "decide 5"


def test_no_batch_is_published_after_an_aborted_one(
    gate: Gate, publisher: GatedPublisher, batches: BatchesInFlight
) -> None:
    """Its checkpoint would say that the aborted one is published."""
    gate.open("decide 5", "decide 6", "publish 6")
    batches.begin(batch_at(5), checkpoints_at(5))
    batches.begin(batch_at(6), checkpoints_at(5))
    gate.open("publish 5", error=TransactionAborted())
    with pytest.raises(TransactionAborted):
        batches.finish_first()
    assert len(batches) == 0
    assert publisher.published == []


def test_nothing_is_published_after_an_error(
    gate: Gate, publisher: GatedPublisher, batches: BatchesInFlight, abandoned: threading.Event
) -> None:
    """A topic may have been recreated; the decisions are published after the next start."""
    batches.begin(batch_at(5), checkpoints_at(5))
    gate.await_reached("decide 5")
    abandoned.set()
    gate.open("decide 5", "publish 5")
    with pytest.raises(TransactionAborted):
        batches.finish_first()
    assert publisher.published == []


def test_an_error_is_not_held_back_by_an_outage_of_the_database(
    gate: Gate, batches: BatchesInFlight, abandoned: threading.Event
) -> None:
    """The batch after waits for the database until it is abandoned."""
    batches.begin(batch_at(5), checkpoints_at(5))
    gate.open("decide 5")
    gate.await_reached("publish 5")
    batches.begin(batch_at(6), checkpoints_at(5))
    gate.await_reached("decide 6")
    gate.open("publish 5", error=FatalError("not allowed"))
    finished = run_in_background(batches.finish_first)
    assert abandoned.wait(TIMEOUT_SECONDS)
    gate.open("decide 6", error=UnreachableError("abandoned"))
    with pytest.raises(FatalError, match="not allowed"):
        finished.result(TIMEOUT_SECONDS)


def test_an_aborted_batch_does_not_end_the_consumer(
    gate: Gate, batches: BatchesInFlight, abandoned: threading.Event
) -> None:
    """The decisions on the batch after it are made, however long that takes."""
    batches.begin(batch_at(5), checkpoints_at(5))
    gate.open("decide 5")
    batches.begin(batch_at(6), checkpoints_at(5))
    gate.await_reached("decide 6")
    gate.open("publish 5", error=TransactionAborted("start over"))
    finished = run_in_background(batches.finish_first)
    assert not abandoned.wait(0.05)
    gate.open("decide 6")
    with pytest.raises(TransactionAborted, match="start over"):
        finished.result(TIMEOUT_SECONDS)
    assert not abandoned.is_set()


def test_no_batch_is_decided_after_an_undecided_one(gate: Gate, batches: BatchesInFlight) -> None:
    """Of two ballots of a voter, the second one would count."""
    batches.begin(batch_at(5), checkpoints_at(5))
    gate.open("decide 5", error=ElectionError("an older backup"))
    with pytest.raises(ElectionError):
        batches.begin(batch_at(6), checkpoints_at(5))
    assert gate.reached == ["decide 5"]
    with pytest.raises(ElectionError):
        batches.finish_first()
