"""Sending ballots to a topic that may be recreated meanwhile."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, cast

import attrs
import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from voting_core.election import Election
from voting_core.exceptions import TopicRecreatedError
from voting_core.service import identity, outage
from voting_core.service.settings import KafkaSettings
from voting_producer import checked_producer
from voting_producer.checked_producer import CheckedProducer

ELECTION = Election(
    election_id="one",
    began_at=datetime(2026, 11, 3, tzinfo=UTC),
    topic_ids={"voters_topic": "T"},
)
BALLOTS = [(b"key", b"value")]


@attrs.define
class Broker:
    """The topic, and the order in which it is used.

    Attributes:
        topic_id: The present id of the topic.
        recreated_at: The call during which the topic is recreated.
        failures: Errors of the next requests for the id.
        stopping: Whether the process has to stop.
        calls: The calls so far.
    """

    topic_id: str = "T"
    recreated_at: str = ""
    failures: list[KafkaError] = attrs.field(factory=list)
    stopping: bool = False
    calls: list[str] = attrs.field(factory=list)

    def connect(self, *_: Any, **__: Any) -> "Broker":
        """Return the producer of any configuration."""
        return self

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name == self.recreated_at:
            self.topic_id = "U"

    def send(self, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Queue records."""
        self._call("send")

    def flush(self) -> None:
        """Deliver the queued records."""
        self._call("flush")

    def ids(self, *_: Any, **__: Any) -> dict[str, str]:
        """Return the id of the topic."""
        self._call("ids")
        if self.failures:
            raise KafkaException(self.failures.pop(0))
        return {"voters_topic": self.topic_id}


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    """A broker with the topic of the election."""
    broker = Broker()
    monkeypatch.setattr(checked_producer, "ReliableProducer", broker.connect)
    monkeypatch.setattr(identity, "topic_ids", broker.ids)
    monkeypatch.setattr(outage, "STEP_SECONDS", 0.01)
    return broker


def connect(broker: Broker) -> CheckedProducer:
    """A producer of ballots."""
    admin = cast(AdminClient, None)
    return CheckedProducer(KafkaSettings("127.0.0.1:1"), admin, ELECTION, lambda: broker.stopping)


def test_the_topic_is_checked_before_each_batch_and_after_the_last(broker: Broker) -> None:
    """What is acknowledged before the last check belongs to the topic of the election."""
    producer = connect(broker)
    producer.send("voters_topic", BALLOTS)
    producer.send("voters_topic", BALLOTS)
    producer.flush()
    assert broker.calls == ["ids", "send", "ids", "send", "flush", "ids"]


@pytest.mark.parametrize("call", ["send", "flush"])
def test_a_topic_recreated_after_the_last_batch_is_noticed(broker: Broker, call: str) -> None:
    """Ballots may be lost with the old topic, so the run does not end as if all were sent."""
    broker.recreated_at = call
    producer = connect(broker)
    producer.send("voters_topic", BALLOTS)
    with pytest.raises(TopicRecreatedError, match="voters_topic"):
        producer.flush()


def test_nothing_is_sent_to_a_recreated_topic(broker: Broker) -> None:
    """The next batch finds the new id."""
    broker.recreated_at = "send"
    producer = connect(broker)
    producer.send("voters_topic", BALLOTS)
    with pytest.raises(TopicRecreatedError, match="voters_topic"):
        producer.send("voters_topic", BALLOTS)
    assert broker.calls.count("send") == 1


def test_an_outage_at_the_last_check_is_waited_out(broker: Broker) -> None:
    """Without an answer the ballots may be lost; only a stop ends the wait."""
    producer = connect(broker)
    broker.failures = [KafkaError(KafkaError._TRANSPORT)]
    producer.flush()
    assert broker.calls == ["flush", "ids", "ids"]
    broker.stopping = True
    broker.failures = [KafkaError(KafkaError._TRANSPORT)]
    with pytest.raises(KafkaException):
        producer.flush()
