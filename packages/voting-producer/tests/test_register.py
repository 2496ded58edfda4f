"""Holding on to the register through a lost connection."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from voting_core.database import voter_register
from voting_core.exceptions import UnreachableError
from voting_core.service.settings import DatabaseSettings
from voting_producer import register as module
from voting_producer.register import PostgresRegister, RetryTimes


class Connection:
    """A connection that knows whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        """Close it."""
        self.closed = True


class Database:
    """Stands in for the functions of core that talk to PostgreSQL.

    Attributes:
        failures: What registering and connecting raise, one a call, before they succeed.
        connections: All connections so far.
        batches: What was registered.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failures: list[Exception] = []
        self.connections: list[Connection] = []
        self.batches: list[list[str]] = []
        monkeypatch.setattr(module, "connect", self.connect)
        monkeypatch.setattr(module, "check_schema", lambda conn: None)
        monkeypatch.setattr(voter_register, "add_voters", self.add_voters)

    def _fail(self, kind: type[Exception]) -> None:
        if self.failures and isinstance(self.failures[0], kind):
            raise self.failures.pop(0)

    def connect(self, settings: DatabaseSettings, **_: Any) -> Connection:
        """Connect."""
        self._fail(UnreachableError)
        self.connections.append(Connection())
        return self.connections[-1]

    def add_voters(self, conn: Connection, voters: list[str]) -> int:
        """Register voters."""
        assert not conn.closed
        self._fail(psycopg.Error)
        self.batches.append(voters)
        return len(voters)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database that can be made to fail."""
    return Database(monkeypatch)


def build(should_stop: Callable[[], bool] = lambda: False, total: float = 5.0) -> PostgresRegister:
    """Return a register that does not wait long."""
    return PostgresRegister(
        DatabaseSettings(), should_stop=should_stop, retry=RetryTimes(total, 0.01, 0.02)
    )


def test_batch_is_repeated_on_a_new_connection(database: Database) -> None:
    """A lost connection costs time, not voters: the batch is done again, and the loss is logged."""
    held = build()
    database.failures = [
        psycopg.OperationalError("server closed the connection"),
        UnreachableError("starting up"),
        UnreachableError("starting up"),
    ]
    with capture_logs() as logs:
        held.add_voters(["v1"])  # type: ignore[list-item]
    assert database.batches == [["v1"]]
    assert [connection.closed for connection in database.connections] == [True, False]
    assert len(logs) == 3


def test_database_that_stays_away_is_an_error(database: Database) -> None:
    """After the time given, the error says which database is unreachable, without the password."""
    held = build(total=0.1)
    database.failures = [psycopg.OperationalError("server closed\n the connection")] * 1000
    with pytest.raises(UnreachableError, match="localhost:5432/voting: server closed the") as error:
        held.add_voters(["v1"])  # type: ignore[list-item]
    assert error.value.exit_code == 2
    assert database.batches == []


def test_signal_ends_the_wait(database: Database) -> None:
    """When the process is to stop, a lost database is not waited for."""
    held = build(should_stop=lambda: True)
    database.failures = [psycopg.OperationalError("gone")] * 2
    with pytest.raises(UnreachableError):
        held.add_voters(["v1"])  # type: ignore[list-item]
    assert len(database.failures) == 1


def test_other_errors_are_not_repeated(database: Database) -> None:
    """What a new connection cannot mend is raised at once."""
    held = build()
    database.failures = [psycopg.errors.CheckViolation("voter_name")] * 2
    with pytest.raises(psycopg.errors.CheckViolation):
        held.add_voters(["v1"])  # type: ignore[list-item]
    assert len(database.failures) == 1


def test_unreachable_at_the_start_is_an_error_at_once(database: Database) -> None:
    """A database that does not answer at the start is not waited for."""
    database.failures = [UnreachableError("no"), UnreachableError("no")]
    with pytest.raises(UnreachableError):
        build()
    assert len(database.failures) == 1
