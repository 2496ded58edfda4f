"""Publishing when librdkafka does not come back."""

import threading
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from voting_consumer import publisher
from voting_consumer.publisher import Publisher, TransactionAborted
from voting_core.service.settings import KafkaSettings


class FakeProducer:
    """Stands for librdkafka's producer; the first one hangs while it sends offsets."""

    made: list["FakeProducer"] = []  # noqa: RUF012
    hang = threading.Event()

    def __init__(self, config: dict[str, Any]) -> None:
        self.calls: list[str] = []
        self.made.append(self)

    def init_transactions(self) -> None:
        """Note it."""
        self.calls.append("init")

    def begin_transaction(self) -> None:
        """Note it."""
        self.calls.append("begin")

    def send_offsets_to_transaction(self, *args: Any) -> None:
        """Hang, the first one."""
        if self is self.made[0]:
            self.hang.wait(30)
        self.calls.append("offsets")

    def commit_transaction(self) -> None:
        """Note it."""
        self.calls.append("commit")


def test_a_producer_that_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch counts as aborted, and the next one goes through a new producer."""
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
