"""The loop's steps in their order, with a consumer that the test controls."""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import attrs
import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from structlog.testing import capture_logs

from voting_consumer import loop
from voting_consumer.decisions import DecidedRange, Decider
from voting_consumer.loop import BallotConsumer
from voting_consumer.publisher import ProducerFenced, Publisher, TransactionAborted
from voting_consumer.settings import ConsumerSettings
from voting_consumer.topic_guard import TopicGuard
from voting_consumer.validation import BallotRecord
from voting_core.checkpoint import (
    OutputPosition,
    PartitionCheckpoint,
    PublishedCheckpoints,
    encode_checkpoint,
)
from voting_core.database.decisions import RecordRange
from voting_core.election import Election
from voting_core.exceptions import FatalError, TopicRecreatedError
from voting_core.kafka import GroupMember
from voting_core.service import topic_watch

ELECTION = Election(
    election_id="one",
    began_at=datetime(2026, 11, 3, tzinfo=UTC),
    topic_ids={"voters_topic": "T", "votes_topic": "V", "rejected_votes_topic": "R"},
)

Step = Callable[["FakeConsumer"], list["FakeMessage"]]


@attrs.frozen
class FakeMessage:
    """A record of partition 0."""

    offset_: int
    error_: KafkaError | None = None

    def error(self) -> KafkaError | None:
        """Return the event, or None for a record."""
        return self.error_

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
    polled: list[Step]

    def __init__(self, config: dict[str, Any]) -> None:
        self.callbacks: dict[str, Callable[..., None]] = {}
        self.polls = iter(self.steps)
        self.generation = 1

    def subscribe(self, topics: list[str], **callbacks: Callable[..., None]) -> None:
        """Keep the callbacks."""
        self.callbacks = callbacks

    def rebalance(self) -> None:
        """Revoke partition 0 and assign it again."""
        partition = TopicPartition("voters_topic", 0)
        self.callbacks["on_revoke"](self, [partition])
        self.callbacks["on_assign"](self, [partition])

    def consume(self, limit: int, timeout: float) -> list[FakeMessage]:
        """Run the next step and return its messages, after which none has arrived yet."""
        if not timeout:
            return []
        step = next(self.polls)
        self.polled.append(step)
        return step(self)

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Keep the offsets."""
        self.assigned.append([partition.offset for partition in partitions])

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        """Return stable offsets."""
        return partitions

    def consumer_group_metadata(self) -> bytes:
        """Return the metadata of the generation."""
        return b"CGMDv2:" + self.generation.to_bytes(4, sys.byteorder, signed=True)

    def close(self) -> None:
        """Leave the group."""

    def memberid(self) -> str:
        """Return an id, but not before the first rebalance."""
        return "member" if self.assigned else ""


class AbandonedEvent(threading.Event):
    """Is set when an error ends the loop, and then sets another event."""

    def __init__(self, then: threading.Event) -> None:
        super().__init__()
        self.then = then

    def set(self) -> None:
        """Set both."""
        super().set()
        self.then.set()


class FakeDecider:
    """Decides nothing, and keeps the offsets of the records of each batch."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def decide(
        self,
        records: Sequence[BallotRecord],
        ranges: Sequence[RecordRange],
        decided_ends: Mapping[int, int],
    ) -> list[DecidedRange]:
        """Return empty decisions."""
        self.batches.append([record.coordinates.offset for record in records])
        return [DecidedRange(each, [], []) for each in ranges]


class FakePublisher:
    """Aborts the transactions at some positions in the order of calls; keeps the others' ends."""

    def __init__(self, aborted: Mapping[int, type[TransactionAborted]]) -> None:
        self.aborted = aborted
        self.reconnections = 0
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
            raise self.aborted[self.calls]
        self.published += [each.offset for each in next_offsets]

    def reconnect(self) -> None:
        """Count the call."""
        self.reconnections += 1


class FakeGuard:
    """Finds every topic as it was, until a topic is recreated."""

    def __init__(self) -> None:
        self.recreated = False
        self.error: int | None = None

    def check_input(self) -> None:
        """Check the input topic."""
        if self.error is not None:
            raise KafkaException(KafkaError(self.error))
        if self.recreated:
            raise TopicRecreatedError("voters_topic")

    check_all = check_input


def records(*offsets: int) -> Step:
    """The polls of a batch of records."""
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
    aborted: Mapping[int, type[TransactionAborted]] | None = None,
    heartbeat: Path | None = None,
    guard: FakeGuard | None = None,
    abandoned: threading.Event | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Run:
    """Run a consumer whose checkpoint is at offset 5 through these polls."""
    assigned: list[list[int]] = []
    monkeypatch.setattr(FakeConsumer, "steps", steps, raising=False)
    monkeypatch.setattr(FakeConsumer, "assigned", assigned, raising=False)
    monkeypatch.setattr(FakeConsumer, "polled", [], raising=False)
    monkeypatch.setattr(loop, "Consumer", FakeConsumer)
    # Each batch is published before the next one is decided: the order of the steps is certain.
    monkeypatch.setattr(loop, "MAX_BATCHES", 1)
    checkpoint = PartitionCheckpoint("T", 0, OutputPosition("V", 5), OutputPosition("R", 5))
    published = PublishedCheckpoints(ELECTION.topic_ids)
    published.apply(checkpoint.key, encode_checkpoint(checkpoint))
    monkeypatch.setattr(topic_watch, "CHECK_SECONDS", 0.0)
    monkeypatch.setattr(loop, "read_checkpoints", lambda *_, **__: published)
    decider, publisher = FakeDecider(), FakePublisher(aborted or {})
    consumer = BallotConsumer(
        ConsumerSettings(heartbeat=heartbeat, session_timeout=1.0),
        cast(AdminClient, None),
        ELECTION,
        cast(TopicGuard, guard or FakeGuard()),
        cast(Decider, decider),
        cast(Publisher, publisher),
        should_stop or (lambda: len(FakeConsumer.polled) == len(steps)),
        abandoned,
    )
    with closing(consumer):
        consumer.run()
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


def test_a_batch_in_flight_is_finished_before_the_partitions_resume(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A checkpoint that was read before its commit would let it be published again."""
    resuming = threading.Event()
    seen: list[bool] = []

    def outside_the_group(consumer: FakeConsumer) -> list[FakeMessage]:
        consumer.generation = -1
        return [FakeMessage(7)]

    def committed(_: FakeConsumer, partitions: list[TopicPartition], timeout: float) -> Any:
        resuming.set()
        return partitions

    def publish(_: FakePublisher, *__: Any) -> None:
        resuming.clear()
        seen.append(resuming.wait(0.1))

    monkeypatch.setattr(FakeConsumer, "committed", committed)
    monkeypatch.setattr(FakePublisher, "publish", publish)
    run = run_steps(monkeypatch, joining, records(5, 6), outside_the_group, records())
    assert seen == [False]
    assert run.assigned == [[5], [5]]


def test_a_batch_in_flight_is_finished_before_its_partition_is_revoked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The group waits for it, and the successor finds its checkpoint."""
    revoked = threading.Event()
    seen: list[bool] = []

    def publish(_: FakePublisher, *__: Any) -> None:
        seen.append(revoked.wait(0.1))

    def losing(consumer: FakeConsumer) -> list[FakeMessage]:
        consumer.callbacks["on_revoke"](consumer, [TopicPartition("voters_topic", 0)])
        revoked.set()
        return []

    monkeypatch.setattr(FakePublisher, "publish", publish)
    run_steps(monkeypatch, joining, records(5, 6), losing)
    assert seen == [False]


def test_a_batch_in_flight_is_not_published_after_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The topic that it was read from is another one now."""
    guard = FakeGuard()
    recreated = threading.Event()
    published: list[Any] = []

    def decide(_: FakeDecider, records: Any, ranges: Sequence[RecordRange], __: Any) -> list[Any]:
        assert recreated.wait(10)
        return [DecidedRange(each, [], []) for each in ranges]

    def records_of_another_topic(_: FakeConsumer) -> list[FakeMessage]:
        guard.recreated = True
        return [FakeMessage(0)]

    monkeypatch.setattr(FakeDecider, "decide", decide)
    monkeypatch.setattr(FakePublisher, "publish", lambda *args: published.append(args))
    abandoned = AbandonedEvent(recreated)
    with pytest.raises(TopicRecreatedError):
        run_steps(
            monkeypatch,
            *(joining, records(5, 6), records_of_another_topic, records()),
            guard=guard,
            abandoned=abandoned,
        )
    assert abandoned.is_set()
    assert published == []


def test_an_aborted_batch_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an aborted transaction the partition starts again at its checkpoint."""
    run = run_steps(
        monkeypatch,
        *(joining, records(5, 6), records(7), records(5, 6)),
        aborted={1: TransactionAborted},
    )
    assert run == Run(decided=[[5, 6], [5, 6]], published=[7], assigned=[[5], [5]])


def test_records_of_a_recreated_topic_are_not_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have the offsets of records of the old topic."""
    guard = FakeGuard()

    def records_of_another_topic(_: FakeConsumer) -> list[FakeMessage]:
        guard.recreated = True
        return [FakeMessage(5)]

    decided: list[Any] = []
    monkeypatch.setattr(FakeDecider, "decide", lambda *args: decided.append(args))
    with pytest.raises(TopicRecreatedError):
        run_steps(monkeypatch, joining, records_of_another_topic, guard=guard)
    assert decided == []


def test_a_recreated_topic_is_noticed_while_nothing_arrives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A new topic has no records at first, and the old one's offsets are beyond its end."""
    guard = FakeGuard()

    def nothing(_: FakeConsumer) -> list[FakeMessage]:
        guard.recreated = True
        return []

    with pytest.raises(TopicRecreatedError):
        run_steps(monkeypatch, joining, nothing, records(), guard=guard)


def test_a_stop_ends_the_wait_for_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log says what the consumer waited for."""
    guard = FakeGuard()

    def outage(_: FakeConsumer) -> list[FakeMessage]:
        guard.error = KafkaError._TRANSPORT
        return [FakeMessage(5)]

    abandoned = threading.Event()
    with capture_logs() as logs:
        run_steps(monkeypatch, joining, outage, guard=guard, abandoned=abandoned)
    assert "_TRANSPORT" in logs[-1]["error"]
    assert logs[-1]["event"] == "stopped in an outage"
    assert not abandoned.is_set()


def test_a_stop_ends_the_wait_for_stable_offsets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A former owner's transaction is open, which is no error of the consumer."""

    def committed(*_: Any, **__: Any) -> None:
        raise KafkaException(KafkaError(KafkaError.UNSTABLE_OFFSET_COMMIT))

    monkeypatch.setattr(FakeConsumer, "committed", committed)
    with capture_logs() as logs:
        run_steps(monkeypatch, joining)
    assert "UNSTABLE_OFFSET_COMMIT" in logs[-1]["error"]
    assert logs[-1]["event"] == "stopped in an outage"


def test_a_stop_while_a_producer_is_replaced_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that a stop interrupts is no error of the consumer."""
    stopping = threading.Event()

    def reconnect(_: FakePublisher) -> None:
        stopping.set()
        raise TransactionAborted("no broker")

    monkeypatch.setattr(loop, "group_members", lambda _: [member("member")])
    monkeypatch.setattr(FakePublisher, "reconnect", reconnect)
    with capture_logs() as logs:
        run_steps(
            monkeypatch,
            *(joining, records(5), records(6)),
            aborted={1: ProducerFenced},
            should_stop=stopping.is_set,
        )
    assert logs[-1] == {
        "event": "stopped in an outage",
        "error": "no broker",
        "log_level": "info",
    }


@pytest.mark.parametrize(
    "error", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNSUPPORTED_VERSION]
)
def test_a_stop_does_not_hide_another_error(monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    """It would be there after the next start as well."""
    guard = FakeGuard()

    def forbidden(_: FakeConsumer) -> list[FakeMessage]:
        guard.error = error
        return [FakeMessage(5)]

    abandoned = threading.Event()
    with pytest.raises(KafkaException):
        run_steps(monkeypatch, joining, forbidden, guard=guard, abandoned=abandoned)
    assert abandoned.is_set()


def test_a_producer_that_kafka_fenced_off_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was away for longer than its transaction may last; the batch is published again."""
    monkeypatch.setattr(loop, "group_members", lambda _: [member("member")])
    run = run_steps(
        monkeypatch,
        *(joining, records(5, 6), records(7), records(5, 6)),
        aborted={1: ProducerFenced},
    )
    assert run == Run(decided=[[5, 6], [5, 6]], published=[7], assigned=[[5], [5]])


def test_a_second_consumer_of_the_instance_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two would fence each other off for ever."""
    twins = [member("member"), member("another")]
    monkeypatch.setattr(loop, "TWIN_MARGIN_SECONDS", 0.0)
    monkeypatch.setattr(loop, "group_members", lambda _: twins)
    with pytest.raises(FatalError, match="--instance"):
        run_steps(
            monkeypatch,
            *(joining, records(5), records(6), records()),
            aborted={1: ProducerFenced},
        )


def test_a_stop_ends_the_wait_for_a_second_consumer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new producer would fence off the one that goes on."""
    twins = [member("member"), member("another")]
    reconnections: list[FakePublisher] = []
    monkeypatch.setattr(loop, "group_members", lambda _: twins)
    monkeypatch.setattr(FakePublisher, "reconnect", reconnections.append)
    run_steps(monkeypatch, joining, records(5), aborted={1: ProducerFenced})
    assert reconnections == []


def test_a_member_that_has_gone_is_no_second_consumer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The group keeps it for the session timeout: this one's own membership before an outage."""
    answers = iter([[member("before"), member("member")]] * 2 + [[member("member")]])
    monkeypatch.setattr(loop, "TWIN_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(loop, "group_members", lambda _: next(answers))
    run = run_steps(
        monkeypatch,
        *(joining, records(5, 6), records(7), records(5, 6)),
        aborted={1: ProducerFenced},
    )
    assert run.published == [7]
    assert next(answers, None) is None


def member(member_id: str) -> GroupMember:
    """A member of the group with the client id of the instance."""
    client_id = ConsumerSettings().transactional_id
    return GroupMember(member_id, client_id, "127.0.0.1", (0,))


def test_the_heartbeat_is_progress_or_nothing_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither a membership nor a broker that is away is a reason for one."""
    heartbeat = tmp_path / "heartbeat"

    def end(_: FakeConsumer) -> list[FakeMessage]:
        return [FakeMessage(5, KafkaError(KafkaError._PARTITION_EOF))]

    run_steps(monkeypatch, records(), joining, records(), heartbeat=heartbeat)
    assert not heartbeat.exists()
    unavailable = FakeGuard()

    def end_then_outage(consumer: FakeConsumer) -> list[FakeMessage]:
        unavailable.error = KafkaError._TRANSPORT
        return end(consumer)

    run_steps(monkeypatch, joining, end_then_outage, heartbeat=heartbeat, guard=unavailable)
    assert not heartbeat.exists()
    run_steps(monkeypatch, joining, end, heartbeat=heartbeat)
    assert heartbeat.exists()
