"""Connecting to PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict

from voting_core.exceptions import InputError, UnreachableError
from voting_core.service.settings import DatabaseSettings

CONNECT_SECONDS = 10


def describe(settings: DatabaseSettings) -> str:
    """Return the database's address as user@host:port/database, without the password."""
    try:
        parts = conninfo_to_dict(settings.url)
    except psycopg.ProgrammingError as error:
        raise InputError("invalid database URL: expected postgresql://…") from error
    user = f"{parts['user']}@" if "user" in parts else ""
    host = parts.get("host", "localhost")
    return f"{user}{host}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"


def connect(settings: DatabaseSettings, *, application: str = "voting") -> psycopg.Connection:
    """Return a new connection in autocommit mode, with UTC as its time zone.

    Raises:
        UnreachableError: The server is unreachable for 10 s, or refuses the login.
        InputError: The URL is malformed.
    """
    address = describe(settings)
    try:
        connection = psycopg.connect(
            settings.url,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            application_name=application,
            # A dead server is detected within about 20 s, even during a query.
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=2,
        )
        # In other zones, times at the limits of the calendar are out of Python's range.
        connection.execute("SET TIME ZONE 'UTC'")
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0].rpartition("failed: ")[2]
        raise UnreachableError(f"cannot connect to PostgreSQL at {address}: {reason}") from error
    return connection


@contextmanager
def repeatable_read(connection: psycopg.Connection) -> Iterator[None]:
    """Run a transaction, not within another, whose statements see one state of the tables."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield
