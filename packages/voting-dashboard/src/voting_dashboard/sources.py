"""Where the figures come from: the aggregate topics in Kafka, and the register in PostgreSQL."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol

import attrs
import psycopg
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, KafkaError, KafkaException, TopicPartition
from psycopg.errors import UndefinedTable

from voting_core.database import connect, describe
from voting_core.database.voter_register import candidates, voters_by_location
from voting_core.exceptions import SchemaError, UnreachableError
from voting_core.kafka import connect_admin, offset_ranges, open_reader, topic_ids
from voting_core.service.settings import DatabaseSettings, KafkaSettings
from voting_core.topics import AGGREGATES, VOTES
from voting_dashboard.snapshot import Candidate
from voting_dashboard.tally import Register

__all__ = ["CountSource", "DatabaseRegister", "KafkaCount", "Record", "RegisterSource"]

ANSWER_SECONDS = 5.0
BATCH = 10_000


@attrs.frozen
class Record:
    """A record of an aggregate topic.

    Attributes:
        written: When it came onto its topic; None where the broker does not say.
    """

    topic: str
    key: bytes
    value: bytes
    written: datetime | None


class CountSource(Protocol):
    """One reading of the aggregate topics, from their beginnings onwards."""

    @property
    def votes_topic_id(self) -> str:
        """Id of the `votes_topic` whose totals are wanted."""

    @property
    def caught_up(self) -> bool:
        """Whether everything that the topics held when it was opened has been returned."""

    def poll(self, seconds: float) -> list[Record]:
        """Return what has come, after so many seconds at most.

        Raises:
            VotingError: It cannot be read on.
        """

    def is_current(self) -> bool:
        """Tell whether the topics are still those that it was opened for.

        Raises:
            VotingError: Nobody answers, or a topic is gone.
        """

    def close(self) -> None:
        """End it."""


class RegisterSource(Protocol):
    """A connection to the register."""

    def read(self) -> Register:
        """Return the register as it is now.

        Raises:
            VotingError: It cannot be read.
        """

    def close(self) -> None:
        """End it."""


class KafkaCount:
    """The aggregate topics, all partitions, committed records only."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Begin to read.

        Raises:
            UnreachableError: No broker answers.
            TopicError: A topic does not exist.
        """
        self._settings = settings
        self._admin = connect_admin(settings)
        self._ids = self._topic_ids()
        places = []
        self._unread: dict[tuple[str, int], int] = {}
        with self._errors():
            for topic in AGGREGATES:
                for partition, span in offset_ranges(self._admin, topic.name).items():
                    places.append(TopicPartition(topic.name, partition, span.start))
                    if span.end > span.start:
                        self._unread[topic.name, partition] = span.end
            self._consumer = open_reader(settings, places)

    @property
    def votes_topic_id(self) -> str:
        """Id of the `votes_topic` at the time of opening."""
        return self._ids[VOTES.name]

    @property
    def caught_up(self) -> bool:
        """Whether everything that the topics held at the time of opening has been returned."""
        return not self._unread

    def poll(self, seconds: float) -> list[Record]:
        """Return what has come, after so many seconds at most.

        Raises:
            UnreachableError: A topic cannot be read on.
        """
        records = []
        with self._errors():
            for message in self._consumer.consume(BATCH, timeout=seconds):
                topic, partition = message.topic() or "", message.partition()
                reached = message.offset() or 0
                error = message.error()
                if error is None:
                    reached += 1
                    kind, milliseconds = message.timestamp()
                    known = kind != TIMESTAMP_NOT_AVAILABLE
                    written = datetime.fromtimestamp(milliseconds / 1000, UTC) if known else None
                    records.append(
                        Record(topic, message.key() or b"", message.value() or b"", written)
                    )
                elif error.code() != KafkaError._PARTITION_EOF:
                    if error.retriable():
                        continue
                    raise KafkaException(error)
                if partition is not None and reached >= self._unread.get((topic, partition), 0):
                    self._unread.pop((topic, partition), None)
        return records

    def is_current(self) -> bool:
        """Tell whether no topic has been deleted or recreated since.

        Raises:
            UnreachableError: No broker answers within 5 s.
            TopicError: A topic is gone.
        """
        with self._errors():
            self._admin.list_topics(timeout=ANSWER_SECONDS)
        return self._topic_ids() == self._ids

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()

    def _topic_ids(self) -> dict[str, str]:
        with self._errors():
            return topic_ids(self._admin, (VOTES, *AGGREGATES))

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            servers = self._settings.bootstrap_servers
            raise UnreachableError(f"Kafka at {servers}: {error.args[0].str()}") from error


class DatabaseRegister:
    """The register over one connection."""

    def __init__(self, settings: DatabaseSettings) -> None:
        """Connect.

        Raises:
            UnreachableError: Nobody answers.
        """
        self._address = describe(settings)
        self._connection = connect(settings, application="voting-dashboard")

    def read(self) -> Register:
        """Count the registered voters of each location; reads the whole register.

        Raises:
            SchemaError: There are no tables.
            UnreachableError: The connection is gone, or the query fails.
        """
        try:
            return Register(
                voters_by_location=voters_by_location(self._connection),
                candidates=tuple(
                    Candidate(found.candidate_id, found.candidate_name, found.party_affiliation, 0)
                    for found in candidates(self._connection).values()
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
