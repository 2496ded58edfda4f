"""Requests to brokers that are unreachable or fail over."""

from concurrent.futures import Future
from typing import Any

import attrs
import pytest
from confluent_kafka import KafkaError, KafkaException

from voting_core import topics
from voting_core.exceptions import UnreachableError
from voting_core.kafka import (
    admin,
    connect_admin,
    topic_ids,
)
from voting_core.service.settings import KafkaSettings


def test_an_unreachable_broker_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message contains the unreachable address."""
    monkeypatch.setattr(admin, "CONNECT_SECONDS", 1.0)
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1"):
        connect_admin(KafkaSettings("127.0.0.1:1"))


@attrs.define
class Brokers:
    """An admin client whose requests fail until it has new metadata.

    Attributes:
        refreshes: Number of metadata requests after which requests succeed.
        failure: Error code of a failing request.
        requests: Number of requests.
    """

    refreshes: int
    failure: int = KafkaError._TIMED_OUT
    requests: int = 0

    def describe_topics(self, _: Any, **__: Any) -> dict[str, "Future[Any]"]:
        """Return the topic's id, or the failure while the metadata is outdated."""
        self.requests += 1
        future: Future[Any] = Future()
        if self.refreshes > 0:
            future.set_exception(KafkaException(KafkaError(self.failure)))
        else:
            future.set_result(attrs.make_class("Topic", ["topic_id"])("id+/"))
        return {topics.VOTES.name: future}

    def list_topics(self, **_: Any) -> None:
        """Refresh the metadata; fails until a broker is reachable."""
        self.refreshes -= 1
        if self.refreshes > 0:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))


@pytest.mark.parametrize("failure", [KafkaError._TIMED_OUT, KafkaError.UNKNOWN_LEADER_EPOCH])
def test_a_request_is_repeated_after_a_failover(failure: int) -> None:
    """A request that fails with a transient error is repeated with new metadata."""
    brokers = Brokers(refreshes=3, failure=failure)
    assert topic_ids(brokers, [topics.VOTES]) == {"votes_topic": "id-_"}  # type: ignore[arg-type]
    assert brokers.requests == 4


def test_retries_end_at_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the timeout, the transient error is raised."""
    monkeypatch.setattr(admin, "REQUEST_SECONDS", 0.25)
    brokers = Brokers(refreshes=10**9)
    with pytest.raises(KafkaException) as error:
        topic_ids(brokers, [topics.VOTES])  # type: ignore[arg-type]
    assert error.value.args[0].code() == KafkaError._TIMED_OUT
    assert brokers.requests > 1


def test_other_errors_are_not_retried() -> None:
    """An error that is not transient is raised immediately."""
    brokers = Brokers(refreshes=1, failure=KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(KafkaException):
        topic_ids(brokers, [topics.VOTES])  # type: ignore[arg-type]
    assert brokers.requests == 1
