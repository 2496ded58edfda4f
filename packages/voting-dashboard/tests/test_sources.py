"""Tests of the sources with a fake consumer and a fake connection."""

from collections.abc import Iterator
from contextlib import contextmanager
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
from psycopg.errors import InsufficientPrivilege, LockNotAvailable
from structlog.testing import capture_logs
from typed_settings import SecretStr

from voting_core.election import Election
from voting_core.exceptions import (
    ElectionError,
    InputError,
    SchemaError,
    TopicError,
    TopicRecreatedError,
    UnreachableError,
)
from voting_core.kafka import OffsetRange
from voting_core.service.settings import DatabaseSettings, KafkaSettings
from voting_core.topics import VOTES_PER_CANDIDATE_BY_LOCATION
from voting_dashboard import sources
from voting_dashboard.sources import (
    Stores,
    StoresRegisterSource,
    StoresTotalsSource,
    open_stores,
    problem_of,
)
from voting_dashboard.view_model import Problem

TOPIC = VOTES_PER_CANDIDATE_BY_LOCATION.name
KAFKA = KafkaSettings(bootstrap_servers="k:9092")
DATABASE = DatabaseSettings(url=SecretStr("postgresql://u:p@h/d"))
ELECTION = Election(election_id="e1", began_at=datetime(2026, 11, 22, tzinfo=UTC))
WRITTEN_MS = 1_790_000_000_000


@attrs.frozen
class FakeMessage:
    """A record of an aggregate topic, or an event of its partition."""

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
    """A cluster one of whose aggregate topics holds the offsets 3 to 5."""

    polls: list[list[FakeMessage]] = attrs.field(factory=list)
    is_recreated: bool = False
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


@attrs.define
class FakeConnection:
    """A connection whose queries return one value, or fail."""

    value: Any = None
    error: psycopg.Error | None = None
    closed: bool = False
    queries: list[str] = attrs.field(factory=list)

    def execute(self, query: str, *_: Any) -> "FakeConnection":
        """Keep the query, and fail if a test wants it."""
        self.queries.append(query)
        if self.error is not None:
            raise self.error
        return self

    def fetchone(self) -> tuple[Any]:
        """Return the value."""
        return (self.value,)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do nothing."""
        yield

    def close(self) -> None:
        """Remember the call."""
        self.closed = True


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> FakeKafka:
    """A cluster that the source connects to."""
    fake = FakeKafka()

    def offset_ranges(_: object, topic: str) -> dict[int, OffsetRange]:
        return {0: OffsetRange(3, 6) if topic == TOPIC else OffsetRange(0, 0)}

    def check_topic_ids(*_: object) -> None:
        if fake.is_recreated:
            raise TopicRecreatedError("recreated")

    monkeypatch.setattr(sources, "connect_admin", lambda _: fake)
    monkeypatch.setattr(sources, "open_reader", lambda *_: fake)
    monkeypatch.setattr(sources, "offset_ranges", offset_ranges)
    monkeypatch.setattr(sources, "check_topic_ids", check_topic_ids)
    monkeypatch.setattr(sources, "check_election", lambda *_: ELECTION)
    monkeypatch.setattr(sources, "check_database_election", lambda *_: None)
    return fake


@pytest.fixture
def conn(monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    """A connection to a primary."""
    fake = FakeConnection()
    monkeypatch.setattr(sources, "connect", lambda *_, **__: fake)
    return fake


@pytest.fixture
def stores(kafka: FakeKafka, conn: FakeConnection) -> Stores:
    """Both of them."""
    return open_stores(KAFKA, DATABASE)


def test_caught_up_after_the_last_record(kafka: FakeKafka, stores: Stores) -> None:
    """The source has caught up when the last record of the start is returned."""
    kafka.polls = [[FakeMessage(3)], [FakeMessage(4), FakeMessage(5)]]
    source = StoresTotalsSource(stores)
    assert (len(source.poll(0)), source.caught_up) == (1, False)
    assert (len(source.poll(0)), source.caught_up) == (2, True)


def test_caught_up_at_the_end_of_a_partition(kafka: FakeKafka, stores: Stores) -> None:
    """The end of a partition counts where its last offsets have no committed record."""
    kafka.polls = [[FakeMessage(3)], [FakeMessage(6, KafkaError(KafkaError._PARTITION_EOF))]]
    source = StoresTotalsSource(stores)
    source.poll(0)
    assert (source.poll(0), source.caught_up) == ([], True)


def test_record(kafka: FakeKafka, stores: Stores) -> None:
    """A record has its position and time; a tombstone has no value."""
    unknown = (TIMESTAMP_NOT_AVAILABLE, -1)
    impossible = (TIMESTAMP_CREATE_TIME, 2**62)
    kafka.polls = [
        [FakeMessage(3), FakeMessage(4, written=unknown), FakeMessage(5, written=impossible)]
    ]
    timed, *untimed = StoresTotalsSource(stores).poll(0)
    assert (timed.topic, timed.partition, timed.offset) == (TOPIC, 0, 3)
    assert (timed.key, timed.value) == (b"c1", None)
    assert timed.written == WRITTEN_MS
    assert [record.written for record in untimed] == [None, None]


def test_only_retriable_errors_are_ignored(kafka: FakeKafka, stores: Stores) -> None:
    """A retriable error leaves the partition unread; any other names the cluster."""
    retriable = KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION, "moved", retriable=True)
    fatal = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "denied")
    kafka.polls = [[FakeMessage(6, retriable)], [FakeMessage(6, fatal)]]
    source = StoresTotalsSource(stores)
    assert (source.poll(0), source.caught_up) == ([], False)
    with pytest.raises(UnreachableError, match="Kafka at k:9092: denied"):
        source.poll(0)


def test_is_current(kafka: FakeKafka, stores: Stores, conn: FakeConnection) -> None:
    """A recreated topic ends a read; an unreachable broker is an error."""
    source = StoresTotalsSource(stores)
    assert (source.election, source.is_current()) == (ELECTION, True)
    kafka.is_recreated = True
    assert not source.is_current()
    kafka.failure = KafkaError(KafkaError._TRANSPORT, "down")
    with pytest.raises(UnreachableError, match="Kafka at k:9092: down"):
        source.is_current()
    source.close()
    assert (kafka.closed, conn.closed) == (True, True)


def test_accepted_votes(stores: Stores, conn: FakeConnection) -> None:
    """The votes are counted without waiting for a lock indefinitely, or changing the session."""
    conn.value = 7
    assert StoresTotalsSource(stores).accepted_votes() == 7
    assert conn.queries[-2:] == ["SET LOCAL lock_timeout = '10s'", "SELECT count(*) FROM votes"]


def test_votes_of_another_election(
    stores: Stores, conn: FakeConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of votes after a reset is not that of the election."""
    conn.value = 0

    def refuse(*_: object) -> None:
        assert conn.queries[-1] == "SELECT count(*) FROM votes"
        raise ElectionError("no election")

    monkeypatch.setattr(sources, "check_database_election", refuse)
    with pytest.raises(ElectionError):
        StoresTotalsSource(stores).accepted_votes()


def test_incident(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """An incident counts as recorded if it was recorded before, and not if that is forbidden."""
    source = StoresTotalsSource(stores)
    recorded = iter([True, False])
    monkeypatch.setattr(sources, "record_incident", lambda *_: next(recorded))
    with capture_logs() as logs:
        assert source.record_unproven(TOPIC, "6 and 5")
        assert source.record_unproven(TOPIC, "6 and 5")
        assert len(logs) == 1

    def refuse(*_: object) -> None:
        raise InsufficientPrivilege("permission denied")

    monkeypatch.setattr(sources, "record_incident", refuse)
    with capture_logs() as logs:
        assert not source.record_unproven(TOPIC, "6 and 5")
    assert logs[0]["reason"] == "permission denied"


def test_a_standby_proves_nothing(kafka: FakeKafka, conn: FakeConnection) -> None:
    """A standby lags behind, so its votes could be fewer than were counted."""
    conn.value = True
    with pytest.raises(InputError, match=r"u@h:5432/d is a standby.*primary"):
        open_stores(KAFKA, DATABASE)
    assert conn.closed


def test_stores_that_do_not_match(
    kafka: FakeKafka, conn: FakeConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mismatch is an error, and leaves no connection."""

    def refuse(*_: object) -> None:
        raise ElectionError("two elections")

    monkeypatch.setattr(sources, "check_election", refuse)
    with pytest.raises(ElectionError):
        open_stores(KAFKA, DATABASE)
    assert conn.closed


@pytest.mark.parametrize(
    "error", [psycopg.OperationalError("lost\n it"), LockNotAvailable("lost it")]
)
def test_database_errors(stores: Stores, conn: FakeConnection, error: psycopg.Error) -> None:
    """A failed query is an error with the address of the database."""
    conn.error = error
    for read in (StoresTotalsSource(stores).accepted_votes, StoresRegisterSource(stores).read):
        with pytest.raises(UnreachableError, match="u@h:5432/d: lost it") as raised:
            read()
        assert problem_of(raised.value) is Problem.DATABASE


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (ElectionError("x"), Problem.ELECTION),
        (SchemaError("x"), Problem.ELECTION),
        (TopicError("x"), Problem.ELECTION),
        (TopicRecreatedError("x"), Problem.ELECTION),
        (InputError("x"), Problem.DATABASE),
        (psycopg.OperationalError("x"), Problem.DATABASE),
        (KafkaException(KafkaError(KafkaError._TRANSPORT)), Problem.KAFKA),
        (UnreachableError("no record arrived"), Problem.KAFKA),
        (ZeroDivisionError("x"), Problem.UNEXPECTED),
    ],
)
def test_problem_of(error: Exception, problem: Problem) -> None:
    """Every error means one of the problems that the page has a text for."""
    assert problem_of(error) is problem
