"""Connecting to PostgreSQL."""

import psycopg
from psycopg.conninfo import conninfo_to_dict

from voting_core.exceptions import InputError, UnreachableError
from voting_core.service.settings import DatabaseSettings

__all__ = ["connect", "describe"]

CONNECT_SECONDS = 10


def describe(settings: DatabaseSettings) -> str:
    """Return where the database is, as user@host:port/database, without the password."""
    try:
        parts = conninfo_to_dict(settings.url)
    except psycopg.ProgrammingError as error:
        raise InputError("the database URL is not one: expected postgresql://…") from error
    user = f"{parts['user']}@" if "user" in parts else ""
    host = parts.get("host", "localhost")
    return f"{user}{host}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"


def connect(
    settings: DatabaseSettings, *, autocommit: bool = True, application: str = "voting"
) -> psycopg.Connection:
    """Open a connection that reads and writes times in UTC.

    Args:
        settings: Where the database is.
        autocommit: Whether a statement outside `connection.transaction()` commits by itself.
        application: Name shown in `pg_stat_activity`.

    Raises:
        UnreachableError: Nobody answers within 10 s, or the log-in is refused.
        InputError: The URL is malformed.
    """
    address = describe(settings)
    try:
        connection = psycopg.connect(
            settings.url,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            application_name=application,
            # A dead server is noticed within about 20 s, also in the middle of a query.
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=2,
        )
        # In another zone a time at an end of the calendar is of a year that Python cannot read.
        connection.execute("SET TIME ZONE 'UTC'")
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0].rpartition("failed: ")[2]
        raise UnreachableError(f"cannot connect to PostgreSQL at {address}: {reason}") from error
    connection.autocommit = autocommit
    return connection
