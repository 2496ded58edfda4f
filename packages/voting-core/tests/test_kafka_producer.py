"""The producer that reports failed deliveries."""

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from confluent_kafka import KafkaError, KafkaException
from structlog.testing import capture_logs

from voting_core.exceptions import UnreachableError
from voting_core.kafka import ReliableProducer, producer
from voting_core.service.settings import KafkaSettings


def test_a_failed_delivery_is_raised() -> None:
    """A record that cannot be delivered in time raises at the next flush."""
    sender = ReliableProducer(KafkaSettings("127.0.0.1:1"), timeout=0.5)
    sender.send("topic", [(b"key", b"value")])
    with pytest.raises(KafkaException):
        sender.flush()


def test_a_stop_ends_the_wait_for_an_outage() -> None:
    """Without a limit of time; the message says what to do about the ballots."""
    checks = iter(range(1000))
    stop = ReliableProducer(KafkaSettings("127.0.0.1:1"), should_stop=lambda: next(checks) >= 1)
    with capture_logs() as logs:
        stop.send("topic", [(b"key", b"value")])
        with pytest.raises(UnreachableError, match="same command"):
            stop.flush()
    assert [log["event"] for log in logs] == ["unavailable"]
    assert next(checks) >= 2


@attrs.define
class FullQueue:
    """A producer whose queue is full until it is polled a number of times.

    Attributes:
        polls_until_room: The number.
        failure: The error of the delivery that each poll reports.
        sent: The values of the queued records.
    """

    polls_until_room: int
    failure: KafkaError | None = None
    sent: list[bytes] = attrs.field(factory=list)
    on_delivery: Callable[..., None] | None = None

    def produce(self, topic: str, value: bytes, key: bytes, on_delivery: Any) -> None:
        """Queue a record, if there is room."""
        self.on_delivery = on_delivery
        if self.polls_until_room > 0:
            raise BufferError
        self.sent.append(value)

    def poll(self, timeout: float) -> None:
        """Try to deliver a record, which makes room; only a failure is reported."""
        self.polls_until_room -= 1
        if self.on_delivery is not None and self.failure is not None:
            self.on_delivery(self.failure, None)

    def __len__(self) -> int:
        return len(self.sent)


def send_to(queue: FullQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send two records to a queue."""
    monkeypatch.setattr(producer, "Producer", lambda _: queue)
    ReliableProducer(KafkaSettings("127.0.0.1:1")).send("topic", [(b"k", b"1"), (b"k", b"2")])


def test_a_full_queue_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each record is queued once, in order, as soon as there is room."""
    queue = FullQueue(polls_until_room=3)
    send_to(queue, monkeypatch)
    assert queue.sent == [b"1", b"2"]


def test_a_failed_delivery_ends_the_wait_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that stays full because records cannot be delivered is not waited for."""
    failure = KafkaError(KafkaError._MSG_TIMED_OUT)
    with pytest.raises(KafkaException):
        send_to(FullQueue(polls_until_room=10**9, failure=failure), monkeypatch)


@attrs.define
class Brokers:
    """Brokers that a producer loses and finds again.

    Attributes:
        waiting: The number of records in the queue, and of events that are not served.
        is_reachable: Whether a poll acknowledges every record.
        deliveries: The number of records that a flush delivers.
        unreachable: Called with an error in an outage, as librdkafka does.
    """

    waiting: int = 0
    is_reachable: bool = False
    deliveries: int = 1
    unreachable: Callable[[KafkaError], None] | None = None

    def connect(self, config: dict[str, Any]) -> "Brokers":
        """Return the producer of a configuration."""
        self.unreachable = config["error_cb"]
        return self

    def produce(self, topic: str, value: bytes, key: bytes, on_delivery: Any) -> None:
        """Queue a record."""
        self.waiting += 1

    def poll(self, timeout: float) -> None:
        """Acknowledge every record; a success is not reported."""
        if self.is_reachable:
            self.waiting = 0

    def flush(self, timeout: float) -> int:
        """Acknowledge some records, and return the number of the others."""
        self.waiting = max(0, self.waiting - self.deliveries)
        return self.waiting

    def __len__(self) -> int:
        return self.waiting


def test_an_outage_ends_when_the_records_that_waited_are_delivered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An empty queue alone does not end it, nor do records that are only queued."""
    brokers = Brokers()
    monkeypatch.setattr(producer, "Producer", brokers.connect)
    sender = ReliableProducer(KafkaSettings("127.0.0.1:1"))
    assert brokers.unreachable is not None
    with capture_logs() as logs:
        brokers.unreachable(KafkaError(KafkaError._ALL_BROKERS_DOWN))
        sender.send("topic", [])
        sender.send("topic", [(b"k", b"1")])
        sender.send("topic", [(b"k", b"2")])
        assert [log["event"] for log in logs] == ["unavailable"]
        brokers.is_reachable = True
        sender.send("topic", [])
    assert [log["event"] for log in logs] == ["unavailable", "available again"]


def test_an_earlier_delivery_does_not_end_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The poll that notices it may be the one that reports that no broker is reachable."""
    brokers = Brokers()
    monkeypatch.setattr(producer, "Producer", brokers.connect)
    sender = ReliableProducer(KafkaSettings("127.0.0.1:1"))
    assert brokers.unreachable is not None
    with capture_logs() as logs:
        sender.send("topic", [(b"k", b"1"), (b"k", b"2")])
        brokers.waiting = 1
        brokers.unreachable(KafkaError(KafkaError._ALL_BROKERS_DOWN))
        sender.send("topic", [])
        assert [log["event"] for log in logs] == ["unavailable"]


def stalled_producer(
    monkeypatch: pytest.MonkeyPatch, brokers: Brokers, *, should_stop: bool = False
) -> ReliableProducer:
    """A producer that takes any wait for an acknowledgement for an outage."""
    monkeypatch.setattr(producer, "Producer", brokers.connect)
    monkeypatch.setattr(producer, "STALL_SECONDS", 0.0)
    return ReliableProducer(KafkaSettings("127.0.0.1:1"), should_stop=lambda: should_stop)


def test_records_that_are_not_acknowledged_are_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker is reachable, so librdkafka reports nothing; too few replicas are in sync."""
    brokers = Brokers()
    sender = stalled_producer(monkeypatch, brokers)
    with capture_logs() as logs:
        sender.send("topic", [(b"k", b"1"), (b"k", b"2")])
        assert [log["event"] for log in logs] == ["unavailable"]
        assert "2 records" in logs[0]["error"]
        monkeypatch.setattr(producer, "STALL_SECONDS", 60.0)
        sender.send("topic", [(b"k", b"3")])
        assert [log["event"] for log in logs] == ["unavailable"]
        brokers.waiting = 2
        sender.send("topic", [])
    assert [log["event"] for log in logs] == ["unavailable", "available again"]


def test_an_idle_producer_has_no_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits, however long the last acknowledgement is ago."""
    brokers = Brokers(is_reachable=True)
    sender = stalled_producer(monkeypatch, brokers)
    with capture_logs() as logs:
        sender.send("topic", [])
        sender.send("topic", [(b"k", b"1")])
        sender.flush()
        sender.send("topic", [])
    assert logs == []


def test_a_slow_delivery_is_no_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each acknowledgement starts the wait again."""
    brokers = Brokers()
    sender = stalled_producer(monkeypatch, brokers)
    monkeypatch.setattr(producer, "STALL_SECONDS", 60.0)
    with capture_logs() as logs:
        sender.send("topic", [(b"k", b"1"), (b"k", b"2")])
        sender.flush()
    assert brokers.waiting == 0
    assert logs == []


def test_a_stop_ends_a_flush_without_acknowledgements(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ballots are not delivered, so the flush does not return as if they were."""
    brokers = Brokers(deliveries=0)
    sender = stalled_producer(monkeypatch, brokers, should_stop=True)
    sender.send("topic", [(b"k", b"1")])
    with capture_logs() as logs, pytest.raises(UnreachableError, match="same command"):
        sender.flush()
    assert logs == []
