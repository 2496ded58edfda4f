"""Connecting to PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import IsolationLevel
from psycopg.conninfo import conninfo_to_dict

from voting_core.exceptions import InputError, SchemaError, UnreachableError
from voting_core.service.settings import DatabaseSettings

CONNECT_SECONDS = 10

_MALFORMED = (
    "invalid database URL: expected postgresql://user:password@host:port/database; write special "
    "characters of the password percent-encoded: # as %23, % as %25, / as %2F, ? as %3F, @ as %40"
)


def describe(settings: DatabaseSettings) -> str:
    """Return the database's address as user@host:port/database, without the password.

    Raises:
        InputError: The URL is malformed; the message contains no part of it.
    """
    parts = _parts(settings)
    user = f"{parts['user']}@" if "user" in parts else ""
    host = parts.get("host", "localhost")
    return f"{user}{host}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"


def _parts(settings: DatabaseSettings) -> dict[str, Any]:
    url = str(settings.url)
    if not url.strip():
        # libpq would take its own defaults, and so another database than the one that was meant.
        raise InputError("the database URL is empty")
    scheme, separator, rest = url.partition("://")
    if separator and scheme in ("postgresql", "postgres"):
        # libpq ends the password at the first of these, and takes the rest for a host or a path.
        before_query, _, query = rest.partition("?")
        authority = before_query.partition("/")[0]
        misplaced = "@" in before_query and "@" not in authority
        if "#" in url or before_query.count("@") > 1 or misplaced or "@" in query:
            raise InputError(_MALFORMED)
    try:
        return conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # The error of libpq quotes the URL.
        raise InputError(_MALFORMED) from None


def connect(
    settings: DatabaseSettings, *, application: str = "voting", timeout: int = CONNECT_SECONDS
) -> psycopg.Connection:
    """Return a new connection in autocommit mode, with UTC as its time zone.

    It works through a pooler in transaction mode too: without prepared statements, and without
    session state beside the time zone, the style of dates and the encoding, which poolers track.
    Transactions are READ COMMITTED, whatever the database's own default: the locks of the decisions
    rely on it.

    Raises:
        UnreachableError: The server is unreachable for `timeout` seconds, or refuses the login.
        SchemaError: The database is not encoded in UTF-8.
        InputError: The URL is malformed.
    """
    address = describe(settings)
    try:
        connection = psycopg.connect(
            str(settings.url),
            autocommit=True,
            connect_timeout=timeout,
            application_name=application,
            client_encoding="utf8",
            prepare_threshold=None,
            # A dead server is detected within about 20 s, even during a query.
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=2,
        )
        # In other zones, times at the limits of the calendar are out of Python's range.
        connection.execute("SET TIME ZONE 'UTC'; SET datestyle TO ISO")
        connection.isolation_level = IsolationLevel.READ_COMMITTED
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0].rpartition("failed: ")[2]
        if password := _parts(settings).get("password"):
            reason = reason.replace(str(password), "…")
        raise UnreachableError(f"cannot connect to PostgreSQL at {address}: {reason}") from error
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        connection.close()
        raise SchemaError(
            f"the database at {address} is encoded in {encoding}, which cannot store every name",
            "create it with ENCODING 'UTF8' TEMPLATE template0",
        )
    return connection


def check_direct(conn: psycopg.Connection, what: str) -> None:
    """Check that a connection is to the server itself, and not through a pooler.

    A pooler may give each transaction to another session, in which temporary tables of the one
    before do not exist.

    Args:
        conn: The connection.
        what: What needs it, such as "voting reconcile".

    Raises:
        InputError: It is through a pooler.
    """
    row = conn.execute("SELECT pg_backend_pid()").fetchone()
    if row is None or row[0] != conn.info.backend_pid:
        raise InputError(
            f"{what} uses temporary tables: give it a direct connection to PostgreSQL, not one "
            "through a pooler"
        )


@contextmanager
def repeatable_read(connection: psycopg.Connection) -> Iterator[None]:
    """Run a transaction, not within another, whose statements see one state of the tables."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield
