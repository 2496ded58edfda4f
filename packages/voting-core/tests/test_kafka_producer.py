"""The producer that reports failed deliveries."""

import pytest
from confluent_kafka import KafkaException

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
