"""Work on PostgreSQL that is repeated after a lost connection."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from voting_core.database import RetryingConnection, RetryPolicy, retry
from voting_core.exceptions import UnreachableError
from voting_core.service.settings import DatabaseSettings


class Connection:
    """A connection that records whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        """Close the connection."""
        self.closed = True


class Database:
    """Replaces PostgreSQL.

    Attributes:
        failures: Errors to raise, one per call, before calls succeed.
        connections: All connections so far.
        batches: The registered batches.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failures: list[Exception] = []
        self.connections: list[Connection] = []
        self.batches: list[list[str]] = []
        monkeypatch.setattr(retry, "connect", self.connect)

    def _fail(self, kind: type[Exception]) -> None:
        if self.failures and isinstance(self.failures[0], kind):
            raise self.failures.pop(0)

    def connect(self, settings: DatabaseSettings, **_: Any) -> Connection:
        """Connect."""
        self._fail(UnreachableError)
        self.connections.append(Connection())
        return self.connections[-1]

    def add_voters(self, conn: Any, voters: list[str]) -> int:
        """Register voters."""
        assert not conn.closed
        self._fail(psycopg.Error)
        self.batches.append(voters)
        return len(voters)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database that fails on demand."""
    return Database(monkeypatch)


def connect_retrying(
    should_stop: Callable[[], bool] = lambda: False, timeout: float = 5.0, **options: Any
) -> RetryingConnection:
    """Return a connection with short waits."""
    policy = RetryPolicy(timeout, 0.01, 0.02)
    return RetryingConnection(
        DatabaseSettings(), application="test", policy=policy, should_stop=should_stop, **options
    )


def test_work_is_repeated_on_a_new_connection(database: Database) -> None:
    """The work is repeated after a lost connection; the outage and its end are logged."""
    connection = connect_retrying()
    database.failures = [
        psycopg.OperationalError("server closed the connection"),
        UnreachableError("starting up"),
        UnreachableError("starting up"),
    ]
    with capture_logs() as logs:
        assert connection.run(lambda conn: database.add_voters(conn, ["v1"])) == 1
    assert database.batches == [["v1"]]
    assert [each.closed for each in database.connections] == [True, False]
    assert [log["event"] for log in logs] == ["unavailable", "available again"]


def test_a_database_that_remains_unavailable_is_an_error(database: Database) -> None:
    """After the timeout, the error names the database, without the password."""
    connection = connect_retrying(timeout=0.1)
    database.failures = [psycopg.OperationalError("server closed\n the connection")] * 1000
    with pytest.raises(UnreachableError, match="localhost:5432/voting: server closed the") as error:
        connection.run(lambda conn: database.add_voters(conn, ["v1"]))
    assert error.value.exit_code == 2
    assert database.batches == []


def test_a_request_to_stop_ends_the_wait(database: Database) -> None:
    """A process that has to stop does not wait for an unavailable database."""
    connection = connect_retrying(should_stop=lambda: True)
    database.failures = [psycopg.OperationalError("gone")] * 2
    with pytest.raises(UnreachableError):
        connection.run(lambda conn: database.add_voters(conn, ["v1"]))
    assert len(database.failures) == 1


def test_other_errors_are_not_retried(database: Database) -> None:
    """An error other than those of the connection is retried only if it was listed."""
    database.failures = [psycopg.errors.ForeignKeyViolation("voter_id")] * 2
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        connect_retrying().run(lambda conn: database.add_voters(conn, ["v1"]))
    assert len(database.failures) == 1
    connection = connect_retrying(retry_on=(psycopg.errors.ForeignKeyViolation,))
    connection.run(lambda conn: database.add_voters(conn, ["v1"]))
    assert database.batches == [["v1"]]


def test_an_unreachable_database_at_the_start_is_an_error(database: Database) -> None:
    """The first connection is not retried."""
    database.failures = [UnreachableError("no"), UnreachableError("no")]
    with pytest.raises(UnreachableError):
        connect_retrying()
    assert len(database.failures) == 1


def test_every_connection_is_prepared(database: Database) -> None:
    """Every new connection is prepared; if that fails, it is closed."""
    prepared: list[Any] = []
    connection = connect_retrying(prepare=prepared.append)
    database.failures = [psycopg.OperationalError("gone")]
    connection.run(lambda conn: database.add_voters(conn, ["v1"]))
    assert prepared == database.connections
    with pytest.raises(ZeroDivisionError):
        connect_retrying(prepare=lambda _: 1 / 0)
    assert database.connections[-1].closed
