"""What PostgreSQL tells, each query with a time limit of its own."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg

from voting_core.database import check_schema
from voting_core.database.election import read_election
from voting_core.exceptions import one_line
from voting_core.operator.status.facts import DatabaseFacts, HeldLock, Session
from voting_core.operator.vote_counts import count_rejections, select_number, stored_votes

QUERY_SECONDS = 2.5
SLOW_SECONDS = 5.0
"""A query that takes longer is reported."""

WRITE_BYTES = 256 * 1024

_TABLES = ("candidates", "voters", "votes", "rejections", "election", "incidents")
_STRONG_LOCKS = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")

_SESSION = """{0}.pid, {0}.application_name, coalesce(host({0}.client_addr), 'this host'),
 coalesce({0}.state, 'unknown'), coalesce({0}.wait_event_type || ' ' || {0}.wait_event, ''),
 coalesce(extract(epoch FROM clock_timestamp() - {0}.state_change), 0)::float8"""

_SERVICES = f"""SELECT {_SESSION.format("s")} FROM pg_stat_activity s
WHERE s.datname = current_database() AND starts_with(s.application_name, 'voting')
  AND s.pid <> pg_backend_pid()
ORDER BY s.application_name, s.pid"""

_SLOW = f"""SELECT {_SESSION.format("s")} FROM pg_stat_activity s
WHERE s.datname = current_database() AND s.state = 'active' AND s.pid <> pg_backend_pid()
  AND s.query_start < clock_timestamp() - make_interval(secs => %s)
ORDER BY s.query_start"""

_BLOCKED = f"""SELECT {_SESSION.format("w")}, holder.pid IS NOT NULL, {_SESSION.format("holder")},
 coalesce(w.wait_event, '')
FROM pg_stat_activity w CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS blocking (pid)
     LEFT JOIN pg_stat_activity holder ON holder.pid = blocking.pid
WHERE w.datname = current_database() AND w.wait_event_type = 'Lock'
  AND starts_with(w.application_name, 'voting')
ORDER BY w.pid"""

_TABLE_LOCKS = f"""SELECT {_SESSION.format("s")}, l.mode, c.relname,
 coalesce(extract(epoch FROM clock_timestamp() - s.xact_start), 0)::float8
FROM pg_locks l JOIN pg_stat_activity s USING (pid) JOIN pg_class c ON c.oid = l.relation
WHERE l.granted AND l.locktype = 'relation' AND l.mode = ANY(%s) AND c.relname = ANY(%s)
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND s.pid <> pg_backend_pid()
ORDER BY s.pid, c.relname"""

# The tablespace of the votes may be on another disk than that of temporary tables.
_TABLESPACE = """SELECT spcname FROM pg_tablespace WHERE oid = coalesce(
 (SELECT nullif(reltablespace, 0) FROM pg_class WHERE oid = to_regclass('votes')),
 (SELECT dattablespace FROM pg_database WHERE datname = current_database()))"""

T = TypeVar("T")


def database_facts(conn: psycopg.Connection) -> DatabaseFacts:
    """Return what PostgreSQL tells; a query that fails or takes too long is named.

    Sessions and locks come first, because a lock can block the other queries.

    Raises:
        SchemaError: The tables are missing, or of another version.
        OperationalError: The connection is lost.
    """
    problems: list[str] = []

    def attempt(what: str, query: Callable[[], T]) -> T | None:
        try:
            with conn.transaction():
                # Local, so that it also works through a connection pooler.
                conn.execute(f"SET LOCAL statement_timeout = {int(QUERY_SECONDS * 1000)}".encode())
                return query()
        except psycopg.Error as error:
            if conn.closed:
                raise
            problems.append(f"{what}: {one_line(error)}")
            return None

    round_trip = min(_timed(lambda: conn.execute("SELECT 1")) for _ in range(3))
    locks = attempt("locks", lambda: _locks(conn))
    services = attempt("sessions", lambda: _sessions(conn, _SERVICES))
    slow = attempt("queries", lambda: _sessions(conn, _SLOW, SLOW_SECONDS))
    check_schema(conn)
    disk_full, write_seconds = _probe_write(conn, problems)
    return DatabaseFacts(
        election=attempt("election", lambda: read_election(conn)),
        votes=attempt("votes", lambda: stored_votes(conn)),
        registered=attempt("voters", lambda: select_number(conn, "voters")),
        rejected=attempt("rejections", lambda: count_rejections(conn)),
        round_trip=round_trip,
        write_seconds=write_seconds,
        disk_full=disk_full,
        services=tuple(services or ()),
        slow=tuple(slow or ()),
        locks=tuple(locks or ()),
        problems=tuple(problems),
    )


def _sessions(conn: psycopg.Connection, query: str, *values: Any) -> list[Session]:
    return [Session(*row) for row in conn.execute(query.encode(), values or None)]


def _locks(conn: psycopg.Connection) -> list[HeldLock]:
    found = []
    for *columns, event in conn.execute(_BLOCKED.encode()):
        blocked, is_session, holder = Session(*columns[:6]), columns[6], columns[7:]
        found.append(
            HeldLock(
                Session(*holder) if is_session else None, blocked, f"{event} lock", blocked.seconds
            )
        )
    holders = {each.holder.pid for each in found if each.holder is not None}
    for *session, mode, table, seconds in conn.execute(
        _TABLE_LOCKS.encode(), (list(_STRONG_LOCKS), list(_TABLES))
    ):
        if session[0] not in holders:
            found.append(HeldLock(Session(*session), None, f"{mode} on {table}", seconds))
    return found


def _probe_write(conn: psycopg.Connection, problems: list[str]) -> tuple[str | None, float | None]:
    """Write a little and roll it back.

    Returns:
        PostgreSQL's message if there is no space, and otherwise the seconds it took.
    """
    try:
        with conn.transaction(force_rollback=True):
            conn.execute(f"SET LOCAL statement_timeout = {int(QUERY_SECONDS * 1000)}".encode())
            tablespace = conn.execute(_TABLESPACE).fetchone()
            query = psycopg.sql.SQL(
                "CREATE TEMPORARY TABLE status_probe TABLESPACE {} AS"
                " SELECT repeat('x', 1024) AS filler FROM generate_series(1, %s)"
            ).format(psycopg.sql.Identifier(*(tablespace or ("pg_default",))))
            with psycopg.ClientCursor(conn) as cursor:
                seconds = _timed(lambda: cursor.execute(query, (WRITE_BYTES // 1024,)))
    except psycopg.errors.DiskFull as error:
        return one_line(error), None
    except psycopg.Error as error:
        if conn.closed:
            raise
        problems.append(f"write: {one_line(error)}")
        return None, None
    return None, seconds


def _timed(function: Callable[[], object]) -> float:
    began = time.monotonic()
    function()
    return time.monotonic() - began
