"""Which services of the election run: members of consumer groups and database sessions."""

import time

import psycopg
import structlog
from confluent_kafka.admin import AdminClient

from voting_core.exceptions import ElectionError
from voting_core.kafka import group_members

LEAVE_SECONDS = 50.0
"""Longer than the usual session timeouts, after which the group removes a killed member."""

PAUSE_SECONDS = 0.5

_WRITERS = ("voting-consumer", "voting-producer")

log = structlog.get_logger()


def check_stopped(admin: AdminClient, conn: psycopg.Connection, refusal: str) -> None:
    """Check that no consumer and no producer of the election runs.

    A consumer that was killed stays a member of its group until its session times out, so the
    check waits for members without a database session.

    `refusal` is what is refused while one runs, such as "topics cannot be registered".

    Raises:
        ElectionError: One runs.
    """
    deadline = time.monotonic() + LEAVE_SECONDS
    while True:
        sessions = _sessions(conn)
        members = group_members(admin)
        if not sessions and not members:
            return
        if sessions or time.monotonic() > deadline:
            running = sessions or [f"{each.client_id} at {each.host}" for each in members]
            raise ElectionError(
                f"{refusal} while services of the election run: {', '.join(running)}; stop them"
            )
        clients = [each.client_id for each in members]
        log.info("waiting for consumers to leave their group", clients=clients)
        time.sleep(PAUSE_SECONDS)


def _sessions(conn: psycopg.Connection) -> list[str]:
    rows = conn.execute(
        "SELECT DISTINCT application_name, coalesce(host(client_addr), 'this host')"
        " FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = ANY(%s) AND pid <> pg_backend_pid() ORDER BY 1, 2",
        (list(_WRITERS),),
    )
    return [f"{application} at {host}" for application, host in rows]
