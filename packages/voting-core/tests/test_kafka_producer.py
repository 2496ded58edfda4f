"""The producer that reports failed deliveries."""

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from confluent_kafka import KafkaError, KafkaException

from voting_core.kafka import (
    ReliableProducer,
    client_config,
    producer,
)
from voting_core.service.settings import KafkaSettings


def test_a_failed_delivery_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that cannot be delivered raises at the next flush."""
    monkeypatch.setattr(
        producer,
        "client_config",
        lambda settings, **extra: client_config(
            settings, **{**extra, "message_timeout_ms": 500, "linger_ms": 0}
        ),
    )
    sender = ReliableProducer(KafkaSettings("127.0.0.1:1"))
    sender.send("topic", [(b"key", b"value")])
    with pytest.raises(KafkaException):
        sender.flush()


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
        """Deliver a record, which makes room."""
        self.polls_until_room -= 1
        if self.on_delivery is not None:
            self.on_delivery(self.failure, None)


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
