"""Requests to brokers that are unreachable or fail over."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from voting_core import topics
from voting_core.exceptions import TopicError, UnreachableError
from voting_core.kafka import (
    admin,
    connect_admin,
    create_topics,
    delete_topics,
    offset_ranges,
    topic_ids,
)
from voting_core.service.settings import KafkaSettings


def test_an_unreachable_broker_is_named() -> None:
    """The message contains the unreachable address."""
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1"):
        connect_admin(KafkaSettings("127.0.0.1:1"), timeout=1.0)


@attrs.define
class Brokers:
    """An admin client whose requests fail until it has new metadata.

    Attributes:
        refreshes: Number of metadata requests after which requests succeed.
        failure: Error code of a failing request.
        brokers: How many there are.
        requests: Number of requests.
    """

    refreshes: int
    failure: int = KafkaError._TIMED_OUT
    brokers: int = 1
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

    def list_topics(self, **_: Any) -> SimpleNamespace:
        """Refresh the metadata; fails until a broker is reachable."""
        self.refreshes -= 1
        if self.refreshes > 0:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return SimpleNamespace(brokers=dict.fromkeys(range(self.brokers)))


@pytest.mark.parametrize("failure", [KafkaError._TIMED_OUT, KafkaError.UNKNOWN_LEADER_EPOCH])
def test_a_request_is_repeated_after_a_failover(failure: int) -> None:
    """A request that fails with a transient error is repeated with new metadata."""
    brokers = Brokers(refreshes=3, failure=failure)
    assert topic_ids(brokers, [topics.VOTES]) == {"votes_topic": "id-_"}  # type: ignore[arg-type]
    assert brokers.requests == 4


def test_retries_end_at_the_timeout() -> None:
    """After the timeout, the transient error is raised."""
    brokers = Brokers(refreshes=10**9)
    with pytest.raises(KafkaException) as error:
        topic_ids(cast(AdminClient, brokers), [topics.VOTES], timeout=0.25)
    assert error.value.args[0].code() == KafkaError._TIMED_OUT
    assert brokers.requests > 1


def test_other_errors_are_not_retried() -> None:
    """An error that is not transient is raised immediately."""
    brokers = Brokers(refreshes=1, failure=KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(KafkaException):
        topic_ids(brokers, [topics.VOTES])  # type: ignore[arg-type]
    assert brokers.requests == 1


def test_a_missing_topic_is_named() -> None:
    """The message says which command creates it."""
    brokers = Brokers(refreshes=1, failure=KafkaError.UNKNOWN_TOPIC_OR_PART)
    with pytest.raises(TopicError, match="votes_topic does not exist: `voting init` creates it"):
        topic_ids(cast(AdminClient, brokers), [topics.VOTES])


def test_a_broker_may_not_know_a_new_topic_yet() -> None:
    """Among several, another may: the request is repeated."""
    brokers = Brokers(refreshes=1, failure=KafkaError.UNKNOWN_TOPIC_OR_PART, brokers=2)
    assert topic_ids(cast(AdminClient, brokers), [topics.VOTES]) == {"votes_topic": "id-_"}
    assert brokers.requests == 2


def test_a_missing_topic_is_believed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many brokers there are."""
    monkeypatch.setattr(admin, "LAG_SECONDS", 0.3)
    brokers = Brokers(refreshes=1, failure=KafkaError.UNKNOWN_TOPIC_OR_PART, brokers=2)
    monkeypatch.setattr(Brokers, "list_topics", lambda _, **__: SimpleNamespace(brokers={1, 2}))
    with pytest.raises(TopicError, match="votes_topic does not exist"):
        topic_ids(cast(AdminClient, brokers), [topics.VOTES])
    assert brokers.requests > 1


def test_a_missing_topic_has_no_offsets() -> None:
    """A topic that is deleted while its offsets are asked for is named too."""
    brokers = Brokers(refreshes=1, failure=KafkaError.UNKNOWN_TOPIC_OR_PART)
    with pytest.raises(TopicError, match="votes_topic does not exist"):
        offset_ranges(cast("AdminClient", brokers), topics.VOTES.name)


@attrs.define
class Controller:
    """An admin client of a controller, and of brokers whose metadata never changes.

    Attributes:
        known: The names of the topics in the metadata.
        failure: Error code of every change.
    """

    known: tuple[str, ...] = ()
    failure: int | None = None

    def create_topics(self, new: list[Any], **_: Any) -> dict[str, "Future[None]"]:
        """Return the outcome of each creation."""
        return {topic.topic: self._outcome() for topic in new}

    def delete_topics(self, names: list[str], **_: Any) -> dict[str, "Future[None]"]:
        """Return the outcome of each deletion."""
        return {name: self._outcome() for name in names}

    def list_topics(self, **_: Any) -> SimpleNamespace:
        """Return the metadata."""
        topic = SimpleNamespace(error=None, partitions={0: None})
        return SimpleNamespace(topics=dict.fromkeys(self.known, topic))

    def _outcome(self) -> "Future[None]":
        future: Future[None] = Future()
        if self.failure is None:
            future.set_result(None)
        else:
            future.set_exception(KafkaException(KafkaError(self.failure)))
        return future


def test_a_topic_that_does_not_appear_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service must not start before the brokers know its topics."""
    monkeypatch.setattr(admin, "REQUEST_SECONDS", 0.2)
    with pytest.raises(TopicError, match="votes_topic does not exist after"):
        create_topics(cast(AdminClient, Controller()), [topics.VOTES], partitions=1, replication=1)


def test_a_topic_that_does_not_disappear_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic must not be created again before the brokers have deleted it."""
    monkeypatch.setattr(admin, "REQUEST_SECONDS", 0.2)
    with pytest.raises(TopicError, match="votes_topic still exists after"):
        delete_topics(cast(AdminClient, Controller(known=("votes_topic",))), [topics.VOTES])


def test_a_refused_change_is_an_error() -> None:
    """Only a topic that exists already, or is gone already, is no error."""
    refusing = cast(AdminClient, Controller(failure=KafkaError.TOPIC_AUTHORIZATION_FAILED))
    with pytest.raises(KafkaException):
        create_topics(refusing, [topics.VOTES], partitions=1, replication=1)
    with pytest.raises(KafkaException):
        delete_topics(refusing, [topics.VOTES])
