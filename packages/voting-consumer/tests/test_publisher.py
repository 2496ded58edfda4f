"""Publishing when a call of librdkafka never returns."""

import threading
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from voting_consumer import publisher
from voting_consumer.publisher import Publisher, TransactionAborted
from voting_core.service.settings import KafkaSettings


class FakeProducer:
    """Stands in for librdkafka's producer; the first one hangs while it sends offsets."""

    made: list["FakeProducer"] = []  # noqa: RUF012
    hang = threading.Event()

    def __init__(self, config: dict[str, Any]) -> None:
        self.calls: list[str] = []
        self.made.append(self)

    def init_transactions(self) -> None:
        """Record the call."""
        self.calls.append("init")

    def begin_transaction(self) -> None:
        """Record the call."""
        self.calls.append("begin")

    def send_offsets_to_transaction(self, *args: Any) -> None:
        """Hang if this is the first producer."""
        if self is self.made[0]:
            self.hang.wait(30)
        self.calls.append("offsets")

    def commit_transaction(self) -> None:
        """Record the call."""
        self.calls.append("commit")


def test_a_producer_that_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The transaction is aborted, and a new producer publishes the next one."""
    monkeypatch.setattr(publisher, "Producer", FakeProducer)
    monkeypatch.setattr(publisher, "HUNG_SECONDS", 0.1)
    subject = Publisher(KafkaSettings("127.0.0.1:9"), "group-one")
    offsets = [TopicPartition("voters_topic", 0, 1)]
    with pytest.raises(TransactionAborted):
        subject.publish([], offsets, b"metadata")
    subject.publish([], offsets, b"metadata")
    FakeProducer.hang.set()
    first, second = FakeProducer.made
    assert first.calls[:2] == ["init", "begin"]
    assert "commit" not in first.calls
    assert second.calls == ["init", "begin", "offsets", "commit"]
