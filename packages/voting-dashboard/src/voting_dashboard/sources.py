"""The sources of the results: the totals in Kafka, and the votes and register in PostgreSQL.

Each source checks, whenever it is opened, that Kafka and PostgreSQL hold the same election.

In real-time mode the stream writes seven records a vote. Of these, two are of the topics that the
page needs; each of them is checked, because foreign records are counted one by one.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, LiteralString, NamedTuple, Protocol

import attrs
import psycopg
import structlog
from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from voting_core.database import connect, describe
from voting_core.database.incidents import IncidentKind, record_incident
from voting_core.database.voter_register import candidates, voters_by_location
from voting_core.election import Election
from voting_core.exceptions import (
    ElectionError,
    InputError,
    SchemaError,
    TopicError,
    TopicRecreatedError,
    UnreachableError,
    one_line,
)
from voting_core.kafka import connect_admin, offset_ranges, open_reader
from voting_core.service.identity import check_database_election, check_election, check_topic_ids
from voting_core.service.settings import DatabaseSettings, KafkaSettings
from voting_core.topics import VOTES, VOTES_PER_CANDIDATE, VOTES_PER_CANDIDATE_BY_LOCATION
from voting_dashboard.view_model import Candidate, Problem, VoterRegister

TOPICS = (VOTES_PER_CANDIDATE_BY_LOCATION, VOTES_PER_CANDIDATE)
"""The aggregate topics that the page needs: all votes, and the candidates' names."""

REQUEST_TIMEOUT = 5.0
"""Maximum wait for a response from the brokers, in seconds."""

LOCK_TIMEOUT: LiteralString = "10s"
"""Maximum wait for a lock in PostgreSQL."""

MAX_POLL_RECORDS = 10_000

_END_OF_TIME = 253_402_300_800_000
"""The year 10000, which `datetime` does not have, in milliseconds since 1970."""

log = structlog.get_logger()


class AggregateRecord(NamedTuple):
    """A record of an aggregate topic.

    Attributes:
        written: When it was written to its topic, in milliseconds since 1970 in UTC; None if it
            has no timestamp.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    written: int | None


class TotalsSource(Protocol):
    """One read of the aggregate topics from their beginnings onwards, and the accepted votes."""

    @property
    def election(self) -> Election:
        """The election of both stores."""

    @property
    def caught_up(self) -> bool:
        """Whether all records that the topics held at the start have been returned."""

    def poll(self, timeout: float) -> list[AggregateRecord]:
        """Return new records after at most `timeout` seconds; raises if Kafka is unreachable."""

    def accepted_votes(self) -> int:
        """Return the number of votes that PostgreSQL has; raises if it cannot be known."""

    def is_current(self) -> bool:
        """Return whether the topics are still those of the election; raises if unreachable."""

    def record_unproven(self, topic: str, detail: str) -> bool:
        """Record an incident about a topic; return whether an unresolved one is recorded now."""

    def close(self) -> None:
        """Stop reading."""


class RegisterSource(Protocol):
    """A connection to the register."""

    def read(self) -> VoterRegister:
        """Return the current register; raises if it cannot be read."""

    def close(self) -> None:
        """Close the connection."""


@attrs.frozen
class Stores:
    """Connections to Kafka and PostgreSQL, which hold one election."""

    kafka: KafkaSettings
    database: DatabaseSettings
    admin: AdminClient
    conn: psycopg.Connection
    election: Election

    def close(self) -> None:
        """Close the connection to PostgreSQL; the other one ends with its last use."""
        self.conn.close()


def open_stores(kafka: KafkaSettings, database: DatabaseSettings) -> Stores:
    """Connect to Kafka and PostgreSQL and check that they hold one election.

    Raises:
        ElectionError: They hold different elections, or a topic was recreated.
        InputError: The database is a standby.
        SchemaError: The database has no election, or its schema is older than needed.
        TopicError: A topic does not exist.
        UnreachableError: Kafka or PostgreSQL is unreachable.
    """
    admin = connect_admin(kafka)
    conn = connect(database, application="voting-dashboard")
    try:
        _check_primary(conn, database)
        return Stores(kafka, database, admin, conn, check_election(kafka, admin, conn))
    except BaseException:
        conn.close()
        raise


def problem_of(error: Exception) -> Problem:
    """Return what an error of a source means for the page."""
    if isinstance(error, ElectionError | SchemaError | TopicError | TopicRecreatedError):
        return Problem.ELECTION
    if isinstance(error, InputError | psycopg.Error):
        return Problem.DATABASE
    if isinstance(error, KafkaException):
        return Problem.KAFKA
    if isinstance(error, UnreachableError):
        is_database = isinstance(error.__cause__, psycopg.Error)
        return Problem.DATABASE if is_database else Problem.KAFKA
    return Problem.UNEXPECTED


class StoresTotalsSource:
    """The committed totals in Kafka, and the votes in PostgreSQL that prove them."""

    def __init__(self, stores: Stores) -> None:
        """Start to read.

        Raises:
            UnreachableError: The broker is unreachable.
            TopicError: A topic does not exist.
        """
        self.election = stores.election
        self._stores = stores
        starts = []
        self._unread: dict[tuple[str, int], int] = {}
        with _kafka_errors(stores.kafka):
            for topic in TOPICS:
                for partition, offsets in offset_ranges(stores.admin, topic.name).items():
                    starts.append(TopicPartition(topic.name, partition, offsets.start))
                    if offsets.end > offsets.start:
                        self._unread[topic.name, partition] = offsets.end
        self._consumer = open_reader(stores.kafka, starts)

    @property
    def caught_up(self) -> bool:
        """Whether all records that the topics held at the start have been returned."""
        return not self._unread

    def poll(self, timeout: float) -> list[AggregateRecord]:
        """Return new records after at most `timeout` seconds.

        Raises:
            UnreachableError: The topics cannot be read.
        """
        records = []
        with _kafka_errors(self._stores.kafka):
            for message in self._consumer.consume(MAX_POLL_RECORDS, timeout=timeout):
                next_offset = message.offset() or 0
                error = message.error()
                if error is None:
                    next_offset += 1
                    records.append(_record(message))
                elif error.code() != KafkaError._PARTITION_EOF:
                    if error.retriable():
                        continue
                    raise KafkaException(error)
                if self._unread:
                    self._mark_read(message, next_offset)
        return records

    def accepted_votes(self) -> int:
        """Return the number of votes in PostgreSQL; reads all of them.

        Raises:
            ElectionError: The database is of another election now.
            UnreachableError: The connection is lost, or the query fails.
        """
        with _database_errors(self._stores.database):
            with _lock_timeout(self._stores.conn):
                votes = _select_value(self._stores.conn, "SELECT count(*) FROM votes")
            # Checked afterwards: a reset deletes the votes and the election at once.
            check_database_election(self._stores.conn, self.election)
        return int(votes)

    def is_current(self) -> bool:
        """Return whether no topic has been deleted or recreated since the start.

        Raises:
            UnreachableError: The broker is unreachable for 5 s.
        """
        with _kafka_errors(self._stores.kafka):
            self._stores.admin.list_topics(timeout=REQUEST_TIMEOUT)
            try:
                check_topic_ids(self._stores.admin, self.election, (VOTES, *TOPICS))
            except TopicRecreatedError as error:
                log.info("starting over", reason=str(error))
                return False
        return True

    def record_unproven(self, topic: str, detail: str) -> bool:
        """Record an incident about a topic; return whether an unresolved one is recorded now."""
        try:
            kind = IncidentKind.UNPROVEN_TOTALS
            if record_incident(self._stores.conn, kind, topic, detail):
                log.error("recorded an incident", kind=kind.value, topic=topic, detail=detail)
        except psycopg.Error as error:
            log.error("cannot record an incident", detail=detail, reason=one_line(error))
            return False
        return True

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()
        self._stores.close()

    def _mark_read(self, message: Message, next_offset: int) -> None:
        partition = message.topic() or "", message.partition() or 0
        if next_offset >= self._unread.get(partition, 0):
            self._unread.pop(partition, None)


class StoresRegisterSource:
    """The register over one connection."""

    def __init__(self, stores: Stores) -> None:
        """Use these connections."""
        self._stores = stores

    def read(self) -> VoterRegister:
        """Return the candidates and the number of voters by location; reads the whole register.

        Raises:
            ElectionError: The database is of another election now.
            UnreachableError: The connection is lost, or the query fails.
        """
        conn, election = self._stores.conn, self._stores.election
        with _database_errors(self._stores.database):
            with _lock_timeout(conn):
                voters = voters_by_location(conn)
                registered = candidates(conn).values()
            check_database_election(conn, election)
        return VoterRegister(
            voters_by_location=voters,
            candidates=tuple(
                Candidate(row.candidate_id, row.candidate_name, row.party_affiliation, 0)
                for row in registered
            ),
            election_id=election.election_id,
        )

    def close(self) -> None:
        """Close the connection."""
        self._stores.close()


def _check_primary(conn: psycopg.Connection, settings: DatabaseSettings) -> None:
    with _database_errors(settings):
        is_standby = _select_value(conn, "SELECT pg_is_in_recovery()")
    if is_standby:
        raise InputError(
            f"PostgreSQL at {describe(settings)} is a standby, which may have fewer votes than "
            "were counted: use the address of the primary"
        )


def _select_value(conn: psycopg.Connection, query: LiteralString) -> Any:
    row = conn.execute(query).fetchone()
    assert row is not None
    return row[0]


@contextlib.contextmanager
def _lock_timeout(conn: psycopg.Connection) -> Iterator[None]:
    """Run a transaction that fails if it waits for a lock too long."""
    with conn.transaction():
        # Not for the session: a pool such as PgBouncer shares it with other clients.
        conn.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        yield


@contextlib.contextmanager
def _kafka_errors(settings: KafkaSettings) -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        raise UnreachableError(
            f"Kafka at {settings.bootstrap_servers}: {error.args[0].str()}"
        ) from error


@contextlib.contextmanager
def _database_errors(settings: DatabaseSettings) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise UnreachableError(f"PostgreSQL at {describe(settings)}: {one_line(error)}") from error


def _record(message: Message) -> AggregateRecord:
    kind, milliseconds = message.timestamp()
    # A client may write any number.
    is_time = kind != TIMESTAMP_NOT_AVAILABLE and 0 <= milliseconds < _END_OF_TIME
    return AggregateRecord(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.key(),
        message.value(),
        milliseconds if is_time else None,
    )
