"""A connection to PostgreSQL that is renewed, and its work repeated, after a transient error."""

from collections.abc import Callable
from typing import TypeVar

import attrs
import psycopg

from voting_core.database.connection import connect, describe
from voting_core.exceptions import UnreachableError, one_line
from voting_core.service.outage import WAIT_INITIAL, WAIT_MAX, OutageLog, retry_until_available
from voting_core.service.settings import DatabaseSettings

T = TypeVar("T")

_TRANSIENT: tuple[type[Exception], ...] = (
    UnreachableError,
    # Among others a restart, a full disk, a deadlock and a lock that is not available.
    psycopg.OperationalError,
    # A failover: the server is still a standby.
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.IdleInTransactionSessionTimeout,
)


@attrs.frozen
class RetryPolicy:
    """How long to wait for an unavailable database, in seconds.

    Attributes:
        timeout: Total time after which the last error is raised; None for never.
        wait_initial: Wait before the second attempt; doubled before each further attempt.
        wait_max: Maximum wait between two attempts.
    """

    timeout: float | None = None
    wait_initial: float = WAIT_INITIAL
    wait_max: float = WAIT_MAX


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
            should_stop: Called while an attempt is awaited; True gives up.
            retry_on: Errors to retry in addition to those of an unavailable database.
            prepare: Called with each new connection.

        Raises:
            UnreachableError: The database is unreachable.
        """
        self._settings = settings
        self._application = application
        self._policy = policy or RetryPolicy()
        self._should_stop = should_stop
        self._transient = (*_TRANSIENT, *retry_on)
        self._outage = OutageLog(f"PostgreSQL at {describe(settings)}")
        self._prepare = prepare
        self._connection: psycopg.Connection | None = self._connect()

    def run(self, work: Callable[[psycopg.Connection], T]) -> T:
        """Return the result of an idempotent function, repeated until it succeeds.

        Raises:
            UnreachableError: The database remained unavailable, or the process has to stop.
            psycopg.Error: An error that is not retried.
        """
        try:
            return retry_until_available(
                lambda: self._attempt(work),
                retry_on=lambda error: isinstance(error, self._transient),
                outage=self._outage,
                should_stop=self._should_stop,
                timeout=self._policy.timeout,
                wait_initial=self._policy.wait_initial,
                wait_max=self._policy.wait_max,
            )
        except (psycopg.OperationalError, psycopg.InternalError) as error:
            address = describe(self._settings)
            raise UnreachableError(f"lost PostgreSQL at {address}: {one_line(error)}") from error

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
        except self._transient:
            self.close()
            raise

    def _connect(self) -> psycopg.Connection:
        connection = connect(self._settings, application=self._application)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection
