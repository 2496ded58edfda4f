"""Kafka helpers, against librdkafka's mock cluster or nobody."""

import pytest
from confluent_kafka import KafkaException

from voting_core import kafka
from voting_core.exceptions import UnreachableError
from voting_core.kafka import ReliableProducer, connect_admin
from voting_core.settings import KafkaSettings


def test_an_unreachable_broker_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address that does not answer is in the message."""
    monkeypatch.setattr(kafka, "CONNECT_SECONDS", 1.0)
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1"):
        connect_admin(KafkaSettings("127.0.0.1:1"))


def test_a_failed_delivery_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that cannot be delivered is not lost in silence."""
    configure = kafka.client_config
    monkeypatch.setattr(
        kafka,
        "client_config",
        lambda settings, **extra: configure(
            settings, **{**extra, "message_timeout_ms": 500, "linger_ms": 0}
        ),
    )
    producer = ReliableProducer(KafkaSettings("127.0.0.1:1"))
    producer.send("topic", [(b"key", b"value")])
    with pytest.raises(KafkaException):
        producer.flush()
