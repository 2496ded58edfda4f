"""Publishing a batch, by a producer whose calls fail or never return."""

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import attrs
import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from voting_consumer import publisher
from voting_consumer.decisions import DecidedRange
from voting_consumer.publisher import ProducerFenced, Publisher, TransactionAborted
from voting_consumer.topic_guard import TopicGuard
from voting_core.checkpoint import OutputPosition, PartitionCheckpoint, decode_checkpoint
from voting_core.database.decisions import RecordRange
from voting_core.exceptions import FatalError, TopicRecreatedError
from voting_core.models import Coordinates, Reason, Rejection, StoredVote, Vote
from voting_core.service.settings import KafkaSettings

RETRIABLE = KafkaError(KafkaError._TIMED_OUT, "try again", retriable=True)
ABORTABLE = KafkaError(KafkaError._TRANSPORT, "start over", txn_requires_abort=True)
OTHER = KafkaError(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "not allowed")
TRANSACTION = ["begin", "flush", "check", "offsets", "commit"]
FENCED = KafkaError(KafkaError._FENCED, "another one took over", fatal=True)


@attrs.define
class Broker:
    """What producers meet, and what they did.

    Attributes:
        failures: The errors that the calls of a name raise, in their order, before they succeed.
        hangs: Whether the first producer never returns from sending offsets.
        calls: The names of the calls of each producer.
        produced: The topic, key and value of each record.
        headers: The headers of each record.
        recreated: Whether an output topic has been recreated.
        stopping: Whether the process has to stop.
    """

    failures: dict[str, list[KafkaError]] = attrs.field(factory=dict)
    hangs: bool = False
    calls: list[list[str]] = attrs.field(factory=list)
    produced: list[tuple[str, bytes | str | None, bytes]] = attrs.field(factory=list)
    headers: list[dict[str, str]] = attrs.field(factory=list)
    recreated: bool = False
    stopping: bool = False
    released: threading.Event = attrs.field(factory=threading.Event)


class FakeProducer:
    """Stands in for librdkafka's producer."""

    broker: Broker

    def __init__(self, config: dict[str, Any]) -> None:
        self.is_first = not self.broker.calls
        self.calls: list[str] = []
        self.broker.calls.append(self.calls)

    def _call(self, name: str) -> None:
        if failures := self.broker.failures.get(name):
            raise KafkaException(failures.pop(0))
        self.calls.append(name)

    def init_transactions(self, timeout: float) -> None:
        """Record the call."""
        self._call("init")

    def begin_transaction(self) -> None:
        """Record the call."""
        self._call("begin")

    def produce(
        self,
        topic: str,
        value: bytes,
        key: bytes | str | None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Keep the record."""
        self.broker.produced.append((topic, key, value))
        self.broker.headers.append(dict(headers))

    def flush(self, timeout: float) -> int:
        """Record the call."""
        self._call("flush")
        return 0

    def poll(self, timeout: float) -> int:
        """Do nothing."""
        return 0

    def send_offsets_to_transaction(self, *args: Any) -> None:
        """Record the call; hang first if so asked."""
        if self.broker.hangs and self.is_first:
            self.broker.released.wait(30)
        self._call("offsets")

    def commit_transaction(self, timeout: float) -> None:
        """Record the call."""
        self._call("commit")

    def abort_transaction(self, timeout: float) -> None:
        """Record the call."""
        self._call("abort")


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """A broker that is there for all producers of a test."""
    broker = Broker()
    monkeypatch.setattr(FakeProducer, "broker", broker, raising=False)
    monkeypatch.setattr(publisher, "Producer", FakeProducer)
    yield broker
    broker.released.set()


def publish(subject: Publisher, *decisions: tuple[DecidedRange, PartitionCheckpoint]) -> None:
    """Publish decisions."""
    subject.publish(decisions, [TopicPartition("voters_topic", 0, 1)], b"metadata")


class FakeGuard:
    """Checks the output topics."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    def check_outputs(self) -> None:
        """Record the check with the calls of the producer."""
        self.broker.calls[-1].append("check")
        if self.broker.recreated:
            raise TopicRecreatedError("votes_topic")


def connect() -> Publisher:
    """A publisher."""
    broker = FakeProducer.broker
    return Publisher(
        KafkaSettings("127.0.0.1:9"),
        "group-one",
        cast(TopicGuard, FakeGuard(broker)),
        lambda: broker.stopping,
    )


def test_a_batch_is_one_transaction(broker: Broker) -> None:
    """The offsets are sent after the records and before the commit."""
    publish(connect())
    assert broker.calls == [["init", *TRANSACTION]]


def test_an_output_topic_gets_only_the_decisions_that_it_lacks(broker: Broker) -> None:
    """The vote before its next offset is not published again; the checkpoint moves to the end."""
    time = datetime(2024, 11, 5, tzinfo=UTC)
    votes = [
        StoredVote(Vote(Coordinates("T", 0, n), f"v{n}", "ada", time, "S", "f", 40), "Ada", "")
        for n in (5, 7)
    ]
    rejections = [
        Rejection(Coordinates("T", 0, n), None, Reason.MALFORMED, "", time, 0, b"", b"")
        for n in (6, 8)
    ]
    before = PartitionCheckpoint("T", 0, OutputPosition("V", 6), OutputPosition("R", 8))
    publish(connect(), (DecidedRange(RecordRange("T", 0, 5, 9), votes, rejections), before))
    assert [(topic, key) for topic, key, _ in broker.produced] == [
        ("votes_topic", "v7"),
        ("rejected_votes_topic", None),
        ("voting_progress", before.key),
    ]
    assert broker.headers == [{"topic_id": "V"}, {"topic_id": "R"}, {}]
    assert decode_checkpoint(before.key, broker.produced[-1][2]) == before.advanced_to(9)


@pytest.mark.parametrize("call", ["init", "begin", "offsets", "commit"])
def test_a_retriable_error_is_retried(broker: Broker, call: str) -> None:
    """Each call is made again until it succeeds."""
    broker.failures[call] = [RETRIABLE] * 3
    publish(connect())
    assert broker.calls == [["init", *TRANSACTION]]


@pytest.mark.parametrize("call", ["begin", "offsets", "commit"])
def test_a_stop_ends_the_retries(broker: Broker, call: str) -> None:
    """An outage lasts as long as it lasts, but a process that has to stop does not wait."""
    subject = connect()
    broker.stopping = True
    broker.failures[call] = [RETRIABLE] * 1000
    with pytest.raises(TransactionAborted, match="try again"):
        publish(subject)
    assert len(broker.failures[call]) == 999


def test_a_stop_ends_the_wait_for_a_connection(broker: Broker) -> None:
    """The reason of the outage is kept."""
    broker.stopping = True
    broker.failures["init"] = [RETRIABLE] * 1000
    with pytest.raises(TransactionAborted, match="try again"):
        connect()
    assert len(broker.failures["init"]) == 999


def test_nothing_is_committed_to_a_recreated_topic(broker: Broker) -> None:
    """The ids are compared after every record is acknowledged and before the commit."""
    subject = connect()
    broker.recreated = True
    with pytest.raises(TopicRecreatedError):
        publish(subject)
    assert broker.calls == [["init", "begin", "flush", "check", "abort"]]


@pytest.mark.parametrize("call", ["offsets", "commit"])
def test_an_abortable_error_aborts_the_transaction(broker: Broker, call: str) -> None:
    """The same producer then publishes the batch again."""
    subject = connect()
    broker.failures[call] = [ABORTABLE]
    with pytest.raises(TransactionAborted, match="start over"):
        publish(subject)
    publish(subject)
    (calls,) = broker.calls
    assert calls.count("commit") == 1
    assert calls[-6:] == ["abort", *TRANSACTION]


@pytest.mark.parametrize("call", ["begin", "offsets", "commit"])
def test_a_fenced_producer_has_to_be_replaced(broker: Broker, call: str) -> None:
    """Another process of the same instance has taken over, or Kafka has ended a transaction."""
    subject = connect()
    broker.failures[call] = [FENCED]
    with pytest.raises(ProducerFenced, match="another one took over"):
        publish(subject)
    subject.reconnect()
    publish(subject)
    assert broker.calls[1] == ["init", *TRANSACTION]


@pytest.mark.parametrize(
    ("error", "kind"), [(ABORTABLE, FatalError), (FENCED, ProducerFenced), (OTHER, FatalError)]
)
def test_an_abort_that_fails_ends_the_producer(
    broker: Broker, error: KafkaError, kind: type[Exception]
) -> None:
    """A producer in an unknown state is not used again."""
    broker.failures = {"commit": [ABORTABLE], "abort": [error]}
    with pytest.raises(kind):
        publish(connect())


def test_a_producer_that_hangs_is_replaced(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The transaction is aborted, and a new producer publishes the next one."""
    monkeypatch.setattr(publisher, "HUNG_SECONDS", 0.1)
    broker.hangs = True
    subject = connect()
    with pytest.raises(TransactionAborted, match="hung"):
        publish(subject)
    publish(subject)
    first, second = broker.calls
    assert first == ["init", "begin", "flush", "check"]
    assert second == ["init", *TRANSACTION]
