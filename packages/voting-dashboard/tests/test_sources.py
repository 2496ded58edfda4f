"""Tests of the sources with a fake consumer and a fake connection."""

from datetime import UTC, datetime
from typing import Any

import attrs
import psycopg
import pytest
from confluent_kafka import (
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_NOT_AVAILABLE,
    KafkaError,
    KafkaException,
)
from psycopg.errors import UndefinedTable
from typed_settings import SecretStr

from voting_core.exceptions import SchemaError, UnreachableError
from voting_core.kafka import OffsetRange
from voting_core.service.settings import DatabaseSettings, KafkaSettings
from voting_core.topics import AGGREGATES, VOTES
from voting_dashboard import sources
from voting_dashboard.sources import DatabaseRegisterSource, KafkaAggregateSource

TOPIC = AGGREGATES[0].name
KAFKA = KafkaSettings(bootstrap_servers="k:9092")
WRITTEN_MS = 1_790_000_000_000


@attrs.frozen
class FakeMessage:
    """A record of the first aggregate topic, or an event of its partition."""

    at: int
    failure: KafkaError | None = None
    written: tuple[int, int] = (TIMESTAMP_CREATE_TIME, WRITTEN_MS)

    def topic(self) -> str:
        """Return the topic."""
        return TOPIC

    def partition(self) -> int:
        """Return the partition."""
        return 0

    def offset(self) -> int:
        """Return the offset."""
        return self.at

    def error(self) -> KafkaError | None:
        """Return the error of an event."""
        return self.failure

    def key(self) -> bytes:
        """Return the key."""
        return b"c1"

    def value(self) -> None:
        """Return no value, as a tombstone has none."""

    def timestamp(self) -> tuple[int, int]:
        """Return kind and milliseconds."""
        return self.written


@attrs.define
class FakeKafka:
    """A cluster whose first aggregate topic holds the offsets 3 to 5."""

    polls: list[list[FakeMessage]] = attrs.field(factory=list)
    topic_id: str = "t1"
    failure: KafkaError | None = None
    closed: bool = False

    def consume(self, limit: int, timeout: float) -> list[FakeMessage]:
        """Return the messages of the next poll."""
        return self.polls.pop(0)

    def list_topics(self, timeout: float) -> None:
        """Raise the failure that a test set."""
        if self.failure is not None:
            raise KafkaException(self.failure)

    def close(self) -> None:
        """Remember the call."""
        self.closed = True


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> FakeKafka:
    """A cluster that the source connects to."""
    fake = FakeKafka()

    def offset_ranges(_: object, topic: str) -> dict[int, OffsetRange]:
        return {0: OffsetRange(3, 6) if topic == TOPIC else OffsetRange(0, 0)}

    monkeypatch.setattr(sources, "connect_admin", lambda _: fake)
    monkeypatch.setattr(sources, "open_reader", lambda *_: fake)
    monkeypatch.setattr(sources, "offset_ranges", offset_ranges)
    monkeypatch.setattr(sources, "topic_ids", lambda *_: {VOTES.name: fake.topic_id})
    return fake


def test_caught_up_after_the_last_record(kafka: FakeKafka) -> None:
    """The source has caught up when the last record of the start is returned."""
    kafka.polls = [[FakeMessage(3)], [FakeMessage(4), FakeMessage(5)]]
    source = KafkaAggregateSource(KAFKA)
    assert (len(source.poll(0)), source.caught_up) == (1, False)
    assert (len(source.poll(0)), source.caught_up) == (2, True)


def test_caught_up_at_the_end_of_a_partition(kafka: FakeKafka) -> None:
    """The end of a partition counts where its last offsets have no committed record."""
    kafka.polls = [[FakeMessage(3)], [FakeMessage(6, KafkaError(KafkaError._PARTITION_EOF))]]
    source = KafkaAggregateSource(KAFKA)
    source.poll(0)
    assert (source.poll(0), source.caught_up) == ([], True)


def test_record(kafka: FakeKafka) -> None:
    """A record has its time, unless the broker does not know it; a tombstone has no bytes."""
    kafka.polls = [[FakeMessage(3), FakeMessage(4, written=(TIMESTAMP_NOT_AVAILABLE, -1))]]
    timed, untimed = KafkaAggregateSource(KAFKA).poll(0)
    assert (timed.topic, timed.key, timed.value) == (TOPIC, b"c1", b"")
    assert timed.written == datetime.fromtimestamp(WRITTEN_MS / 1000, UTC)
    assert untimed.written is None


def test_only_retriable_errors_are_ignored(kafka: FakeKafka) -> None:
    """A retriable error leaves the partition unread; any other names the cluster."""
    retriable = KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION, "moved", retriable=True)
    fatal = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "denied")
    kafka.polls = [[FakeMessage(6, retriable)], [FakeMessage(6, fatal)]]
    source = KafkaAggregateSource(KAFKA)
    assert (source.poll(0), source.caught_up) == ([], False)
    with pytest.raises(UnreachableError, match="Kafka at k:9092: denied"):
        source.poll(0)


def test_is_current(kafka: FakeKafka) -> None:
    """A recreated topic ends a read; an unreachable broker is an error."""
    source = KafkaAggregateSource(KAFKA)
    assert (source.votes_topic_id, source.is_current()) == ("t1", True)
    kafka.topic_id = "t2"
    assert not source.is_current()
    kafka.failure = KafkaError(KafkaError._TRANSPORT, "down")
    with pytest.raises(UnreachableError, match="Kafka at k:9092: down"):
        source.is_current()
    source.close()
    assert kafka.closed


@attrs.define
class FakeConnection:
    """A connection whose queries fail."""

    error: psycopg.Error
    closed: bool = False

    def execute(self, *_: Any) -> None:
        """Fail."""
        raise self.error

    def close(self) -> None:
        """Remember the call."""
        self.closed = True


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (UndefinedTable("no relation"), SchemaError, "u@h:5432/d has no tables"),
        (psycopg.OperationalError("lost\n it"), UnreachableError, "u@h:5432/d: lost it"),
    ],
)
def test_register_errors(
    monkeypatch: pytest.MonkeyPatch,
    error: psycopg.Error,
    raised: type[Exception],
    message: str,
) -> None:
    """A database without tables and a lost connection are different errors."""
    connection = FakeConnection(error)
    monkeypatch.setattr(sources, "connect", lambda *_, **__: connection)
    source = DatabaseRegisterSource(DatabaseSettings(url=SecretStr("postgresql://u:p@h/d")))
    with pytest.raises(raised, match=message):
        source.read()
    source.close()
    assert connection.closed
