"""A connection to PostgreSQL that is renewed, and its work repeated, after a transient error."""

from collections.abc import Callable
from typing import TypeVar

import attrs
import psycopg
import stamina
import structlog

from voting_core.database.connection import connect, describe
from voting_core.exceptions import UnreachableError, one_line
from voting_core.service.settings import DatabaseSettings

T = TypeVar("T")

log = structlog.get_logger()


@attrs.frozen
class RetryPolicy:
    """How long to wait for an unavailable database, in seconds.

    Attributes:
        timeout: Total time after which the last error is raised.
        wait_initial: Wait before the second attempt; doubled before each further attempt.
        wait_max: Maximum wait between two attempts.
    """

    timeout: float = 120.0
    wait_initial: float = 0.2
    wait_max: float = 5.0


class RetryingConnection:
    """Runs idempotent work on PostgreSQL, and repeats it after a transient error."""

    def __init__(
        self,
        settings: DatabaseSettings,
        *,
        application: str,
        policy: RetryPolicy | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        retry_on: tuple[type[psycopg.Error], ...] = (),
        prepare: Callable[[psycopg.Connection], object] = lambda _: None,
    ) -> None:
        """Connect, without retrying.

        Args:
            settings: The database's URL.
            application: Name shown in `pg_stat_activity`.
            policy: Limits of the retries in `run`.
            should_stop: Called before each further attempt; True gives up.
            retry_on: Errors to retry in addition to connection errors.
            prepare: Called with each new connection.

        Raises:
            UnreachableError: The database is unreachable.
        """
        self._settings = settings
        self._application = application
        self._policy = policy or RetryPolicy()
        self._should_stop = should_stop
        self._transient: tuple[type[Exception], ...] = (
            psycopg.OperationalError,
            UnreachableError,
            *retry_on,
        )
        self._prepare = prepare
        self._connection: psycopg.Connection | None = self._connect()

    def run(self, work: Callable[[psycopg.Connection], T]) -> T:
        """Return the result of an idempotent function, repeated until it succeeds.

        Raises:
            UnreachableError: The database remained unavailable, or the process has to stop.
            psycopg.Error: An error that is not retried.
        """
        try:
            for attempt in stamina.retry_context(
                on=self._is_retriable,
                attempts=None,
                timeout=self._policy.timeout,
                wait_initial=self._policy.wait_initial,
                wait_max=self._policy.wait_max,
                wait_jitter=0.0,
            ):
                with attempt:
                    return self._attempt(work)
        except psycopg.OperationalError as error:
            address = describe(self._settings)
            raise UnreachableError(f"lost PostgreSQL at {address}: {one_line(error)}") from error
        raise AssertionError("a retry ends with a result or an error")

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _attempt(self, work: Callable[[psycopg.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = self._connect()
            return work(self._connection)
        except self._transient as error:
            log.warning(
                "database unavailable", database=describe(self._settings), error=one_line(error)
            )
            self.close()
            raise

    def _is_retriable(self, error: Exception) -> bool:
        return isinstance(error, self._transient) and not self._should_stop()

    def _connect(self) -> psycopg.Connection:
        connection = connect(self._settings, application=self._application)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection
