"""Kafka helpers, against nobody, or a broker that only pretends."""

from concurrent.futures import Future
from typing import Any

import attrs
import pytest
from confluent_kafka import KafkaError, KafkaException

from voting_core import topics
from voting_core.exceptions import UnreachableError
from voting_core.kafka import (
    ReliableProducer,
    admin,
    client_config,
    connect_admin,
    producer,
    topic_ids,
)
from voting_core.service.settings import KafkaSettings


def test_an_unreachable_broker_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address that does not answer is in the message."""
    monkeypatch.setattr(admin, "CONNECT_SECONDS", 1.0)
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1"):
        connect_admin(KafkaSettings("127.0.0.1:1"))


def test_a_failed_delivery_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that cannot be delivered is not lost in silence."""
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
class Brokers:
    """Brokers behind an admin client that asks one that has gone until it hears of the others.

    Attributes:
        news: How many times others have to be asked about before one answers.
        failure: What the one that has gone comes to.
    """

    news: int
    failure: int = KafkaError._TIMED_OUT
    requests: int = 0

    def describe_topics(self, _: Any, **__: Any) -> dict[str, "Future[Any]"]:
        """Answer, or not."""
        self.requests += 1
        answer: Future[Any] = Future()
        if self.news > 0:
            answer.set_exception(KafkaException(KafkaError(self.failure)))
        else:
            answer.set_result(attrs.make_class("Topic", ["topic_id"])("id+/"))
        return {topics.VOTES.name: answer}

    def list_topics(self, **_: Any) -> None:
        """Tell of the other brokers; at first there is nobody to do so."""
        self.news -= 1
        if self.news > 0:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))


@pytest.mark.parametrize("failure", [KafkaError._TIMED_OUT, KafkaError.UNKNOWN_LEADER_EPOCH])
def test_a_broker_that_has_gone_is_asked_no_longer(failure: int) -> None:
    """An answer that does not come is asked for again, of the brokers that are there by then."""
    brokers = Brokers(news=3, failure=failure)
    assert topic_ids(brokers, [topics.VOTES]) == {"votes_topic": "id-_"}  # type: ignore[arg-type]
    assert brokers.requests == 4


def test_asking_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """When no broker answers for long enough, that is the error."""
    monkeypatch.setattr(admin, "REQUEST_SECONDS", 0.25)
    brokers = Brokers(news=10**9)
    with pytest.raises(KafkaException) as error:
        topic_ids(brokers, [topics.VOTES])  # type: ignore[arg-type]
    assert error.value.args[0].code() == KafkaError._TIMED_OUT
    assert brokers.requests > 1


def test_another_error_is_not_asked_about_twice() -> None:
    """What a broker refuses it would refuse again."""
    brokers = Brokers(news=1, failure=KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(KafkaException):
        topic_ids(brokers, [topics.VOTES])  # type: ignore[arg-type]
    assert brokers.requests == 1
