"""Recording, as incidents, what proves that something else than the services wrote to the topics.

The totals may be overwritten or compacted, and a foreign record on a compacted topic too. The
incidents remain.
"""

from collections.abc import Mapping

import psycopg

from voting_core.aggregates import unproven_totals
from voting_core.database.incidents import IncidentKind, record_incident
from voting_core.exceptions import one_line
from voting_core.foreign import ForeignRecords
from voting_core.operator.vote_counts import stored_votes
from voting_core.topics import COMPACTED_TOPICS

_READ_ONLY = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)


def find_unproven_totals(conn: psycopg.Connection, sums: Mapping[str, int]) -> dict[str, str]:
    """Return, by topic, the totals that exceed the votes in PostgreSQL.

    `sums` are the sums of the totals of each grouping, read before this call.
    """
    return unproven_totals(sums, stored_votes(conn))


def record_evidence(
    conn: psycopg.Connection, unproven: Mapping[str, str], foreign: ForeignRecords
) -> str | None:
    """Record unproven totals, and the foreign records on compacted topics, as incidents.

    There is one incident for each topic. Foreign records on a log remain, so they need no other
    evidence.

    Returns:
        Why they are not recorded, if the connection may only read; None otherwise.
    """
    try:
        _record_evidence(conn, unproven, foreign)
    except _READ_ONLY as error:
        return f"incidents are not recorded: {one_line(error)}"
    return None


def _record_evidence(
    conn: psycopg.Connection, unproven: Mapping[str, str], foreign: ForeignRecords
) -> None:
    for topic, detail in unproven.items():
        record_incident(conn, IncidentKind.UNPROVEN_TOTALS, topic, detail)
    for topic, number in foreign.by_topic.items():
        if topic in COMPACTED_TOPICS:
            first = foreign.first_of(topic)
            detail = f"{number:,} foreign records" + ("" if first is None else f", first {first}")
            record_incident(conn, IncidentKind.FOREIGN_RECORD, topic, detail)
