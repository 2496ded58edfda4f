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
        unreachable: Called with an error in an outage, as librdkafka does.
    """

    waiting: int = 0
    is_reachable: bool = False
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
