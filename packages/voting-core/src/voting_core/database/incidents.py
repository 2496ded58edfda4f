"""Incidents: evidence of records that the services did not write, or of totals without votes.

The tables are insert-only for every role, so evidence outlives the compaction of a topic.
"""

import enum
from datetime import datetime

import attrs
import psycopg

from voting_core.exceptions import InputError

# An arbitrary number that identifies the advisory lock.
_LOCK = 0x696E6369


class IncidentKind(enum.StrEnum):
    """What was detected."""

    UNPROVEN_TOTALS = "unproven_totals"
    FOREIGN_RECORD = "foreign_record"


@attrs.frozen
class Incident:
    """One detected incident.

    Attributes:
        subject: The topic, or the record as `topic partition@offset`.
        detail: The evidence, in one line.
    """

    incident_id: int
    detected_at: datetime
    kind: IncidentKind
    subject: str
    detail: str


def record_incident(
    conn: psycopg.Connection, kind: IncidentKind, subject: str, detail: str
) -> bool:
    """Record an incident, unless an unresolved one has the same kind and subject.

    Returns:
        Whether it was recorded.
    """
    with conn.transaction():
        # Several readers detect the same incident at the same time.
        conn.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        recorded = conn.execute(
            "INSERT INTO incidents (kind, subject, detail) SELECT %s, %s, %s WHERE NOT EXISTS ("
            " SELECT FROM incidents LEFT JOIN incident_resolutions r USING (incident_id)"
            " WHERE kind = %s AND subject = %s AND r.incident_id IS NULL)",
            (kind.value, subject, detail, kind.value, subject),
        )
    return bool(recorded.rowcount)


def unresolved_incidents(conn: psycopg.Connection) -> list[Incident]:
    """Return the incidents without a resolution, in the order of their ids."""
    rows = conn.execute(
        "SELECT incident_id, detected_at, kind, subject, detail FROM incidents"
        " LEFT JOIN incident_resolutions r USING (incident_id) WHERE r.incident_id IS NULL"
        " ORDER BY incident_id"
    )
    return [Incident(id_, time, IncidentKind(kind), *rest) for id_, time, kind, *rest in rows]


def resolve_incident(conn: psycopg.Connection, incident_id: int, note: str) -> None:
    """Record how an incident was resolved.

    Raises:
        InputError: There is no such incident, or it is resolved already.
    """
    try:
        conn.execute(
            "INSERT INTO incident_resolutions (incident_id, note) VALUES (%s, %s)",
            (incident_id, note),
        )
    except psycopg.errors.ForeignKeyViolation as error:
        raise InputError(f"there is no incident {incident_id}") from error
    except psycopg.errors.UniqueViolation as error:
        raise InputError(f"incident {incident_id} is resolved already") from error
