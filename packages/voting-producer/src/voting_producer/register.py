"""The register in PostgreSQL, held on to through a lost connection."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import attrs
import psycopg
import stamina
import structlog

from voting_core.database import connect, describe, voter_register
from voting_core.database.migrations import check_schema
from voting_core.exceptions import UnreachableError
from voting_core.models import Candidate, Voter
from voting_core.service.settings import DatabaseSettings

__all__ = ["PostgresRegister", "RetryTimes"]

T = TypeVar("T")

_log = structlog.get_logger()


@attrs.frozen
class RetryTimes:
    """How a lost database is waited for, in seconds."""

    total: float = 120.0
    first_wait: float = 0.2
    longest_wait: float = 5.0


class PostgresRegister:
    """Candidates and voters in PostgreSQL.

    Registering is idempotent, so what failed with the connection is simply done again.

    Args:
        settings: Where the database is.
        should_stop: Asked before every new attempt; True gives up.
        retry: How long a lost database is waited for.

    Raises:
        UnreachableError: It does not answer now.
        SchemaError: Its schema is older than needed.
    """

    def __init__(
        self,
        settings: DatabaseSettings,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        retry: RetryTimes | None = None,
    ) -> None:
        self._settings = settings
        self._should_stop = should_stop
        self._retry = retry or RetryTimes()
        self._conn: psycopg.Connection | None = self._connect()
        check_schema(self._conn)

    def candidates(self) -> Mapping[str, Candidate]:
        """Return the registered candidates by id."""
        return self._repeat(voter_register.candidates)

    def add_first_candidates(self, new: Sequence[Candidate]) -> bool:
        """Register candidates unless there are some by now; return whether it did."""
        return self._repeat(lambda conn: voter_register.add_first_candidates(conn, new))

    def add_voters(self, voters: Sequence[Voter]) -> None:
        """Register voters and commit; waits for a database that is lost meanwhile.

        Raises:
            UnreachableError: It stayed away.
        """
        self._repeat(lambda conn: voter_register.add_voters(conn, voters))

    def close(self) -> None:
        """Close the connection."""
        self._drop()

    def _repeat(self, work: Callable[[psycopg.Connection], T]) -> T:
        started = time.monotonic()

        def worth_retrying(error: Exception) -> bool:
            if not isinstance(error, psycopg.OperationalError | UnreachableError):
                return False
            self._drop()
            waited = time.monotonic() - started
            if self._should_stop() or waited >= self._retry.total:
                return False
            _log.warning(
                "the database is lost, trying again",
                database=describe(self._settings),
                reason=_one_line(error),
                waited_seconds=round(waited, 1),
            )
            return True

        try:
            for attempt in stamina.retry_context(
                worth_retrying,
                attempts=None,
                timeout=self._retry.total,
                wait_initial=self._retry.first_wait,
                wait_max=self._retry.longest_wait,
                wait_jitter=0.0,
            ):
                with attempt:
                    if self._conn is None:
                        self._conn = self._connect()
                    return work(self._conn)
        except psycopg.OperationalError as error:
            raise UnreachableError(
                f"lost PostgreSQL at {describe(self._settings)}: {_one_line(error)}"
            ) from error
        raise AssertionError("retrying ends with a result or an error")

    def _connect(self) -> psycopg.Connection:
        return connect(self._settings, application="voting-producer")

    def _drop(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
