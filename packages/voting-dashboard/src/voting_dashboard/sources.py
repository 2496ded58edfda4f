"""The sources of the results: the aggregate topics in Kafka and the register in PostgreSQL."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol

import attrs
import psycopg
from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from psycopg.errors import UndefinedTable

from voting_core.database import connect, describe
from voting_core.database.voter_register import candidates, voters_by_location
from voting_core.exceptions import SchemaError, UnreachableError
from voting_core.kafka import connect_admin, offset_ranges, open_reader, topic_ids
from voting_core.service.settings import DatabaseSettings, KafkaSettings
from voting_core.topics import AGGREGATES, VOTES
from voting_dashboard.view_model import Candidate, VoterRegister

REQUEST_TIMEOUT = 5.0
"""Maximum wait for a response from the brokers, in seconds."""

MAX_POLL_RECORDS = 10_000


@attrs.frozen
class AggregateRecord:
    """A record of an aggregate topic.

    Attributes:
        written: When it was written to its topic; None if it has no timestamp.
    """

    topic: str
    key: bytes
    value: bytes
    written: datetime | None


class AggregateSource(Protocol):
    """One read of the aggregate topics, from their beginnings onwards."""

    @property
    def votes_topic_id(self) -> str:
        """Id of the `votes_topic` whose totals are wanted."""

    @property
    def caught_up(self) -> bool:
        """Whether all records that the topics held at the start have been returned."""

    def poll(self, timeout: float) -> list[AggregateRecord]:
        """Return new records after at most `timeout` seconds.

        Raises:
            VotingError: The topics cannot be read.
        """

    def is_current(self) -> bool:
        """Return whether the topics are still those of the start.

        Raises:
            VotingError: The broker is unreachable, or a topic does not exist.
        """

    def close(self) -> None:
        """Stop reading."""


class RegisterSource(Protocol):
    """A connection to the register."""

    def read(self) -> VoterRegister:
        """Return the current register.

        Raises:
            VotingError: The register cannot be read.
        """

    def close(self) -> None:
        """Close the connection."""


class KafkaAggregateSource:
    """The aggregate topics: all partitions, committed records only."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Start to read.

        Raises:
            UnreachableError: The broker is unreachable.
            TopicError: A topic does not exist.
        """
        self._settings = settings
        self._admin = connect_admin(settings)
        self._ids = self._topic_ids()
        starts = []
        self._unread: dict[tuple[str, int], int] = {}
        with self._unreachable_on_error():
            for topic in AGGREGATES:
                for partition, offsets in offset_ranges(self._admin, topic.name).items():
                    starts.append(TopicPartition(topic.name, partition, offsets.start))
                    if offsets.end > offsets.start:
                        self._unread[topic.name, partition] = offsets.end
            self._consumer = open_reader(settings, starts)

    @property
    def votes_topic_id(self) -> str:
        """Id of the `votes_topic` at the start."""
        return self._ids[VOTES.name]

    @property
    def caught_up(self) -> bool:
        """Whether all records that the topics held at the start have been returned."""
        return not self._unread

    def poll(self, timeout: float) -> list[AggregateRecord]:
        """Return new records after at most `timeout` seconds.

        Raises:
            UnreachableError: A topic cannot be read.
        """
        records = []
        with self._unreachable_on_error():
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
                self._mark_read(message, next_offset)
        return records

    def is_current(self) -> bool:
        """Return whether no topic has been deleted or recreated since the start.

        Raises:
            UnreachableError: The broker is unreachable for 5 s.
            TopicError: A topic does not exist.
        """
        with self._unreachable_on_error():
            self._admin.list_topics(timeout=REQUEST_TIMEOUT)
        return self._topic_ids() == self._ids

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()

    def _mark_read(self, message: Message, next_offset: int) -> None:
        partition = message.topic() or "", message.partition() or 0
        if next_offset >= self._unread.get(partition, 0):
            self._unread.pop(partition, None)

    def _topic_ids(self) -> dict[str, str]:
        with self._unreachable_on_error():
            return topic_ids(self._admin, (VOTES, *AGGREGATES))

    @contextlib.contextmanager
    def _unreachable_on_error(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            servers = self._settings.bootstrap_servers
            raise UnreachableError(f"Kafka at {servers}: {error.args[0].str()}") from error


class DatabaseRegisterSource:
    """The register over one connection."""

    def __init__(self, settings: DatabaseSettings) -> None:
        """Connect.

        Raises:
            UnreachableError: The database is unreachable.
        """
        self._address = describe(settings)
        self._connection = connect(settings, application="voting-dashboard")

    def read(self) -> VoterRegister:
        """Return the candidates and the number of voters by location; reads the whole register.

        Raises:
            SchemaError: The tables do not exist.
            UnreachableError: The connection is lost, or the query fails.
        """
        try:
            return VoterRegister(
                voters_by_location=voters_by_location(self._connection),
                candidates=tuple(
                    Candidate(row.candidate_id, row.candidate_name, row.party_affiliation, 0)
                    for row in candidates(self._connection).values()
                ),
            )
        except UndefinedTable as error:
            raise SchemaError(
                f"PostgreSQL at {self._address} has no tables; `voting init` creates them"
            ) from error
        except psycopg.Error as error:
            reason = " ".join(str(error).split())
            raise UnreachableError(f"PostgreSQL at {self._address}: {reason}") from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _record(message: Message) -> AggregateRecord:
    kind, milliseconds = message.timestamp()
    known = kind != TIMESTAMP_NOT_AVAILABLE
    written = datetime.fromtimestamp(milliseconds / 1000, UTC) if known else None
    return AggregateRecord(
        message.topic() or "", message.key() or b"", message.value() or b"", written
    )
