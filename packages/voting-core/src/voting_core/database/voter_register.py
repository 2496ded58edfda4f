"""The voter register in PostgreSQL: candidates and registered voters."""

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

import attrs
import psycopg
from psycopg.rows import class_row

from voting_core.models import Address, Candidate, RegisteredVoter, Voter

CANDIDATE_COLUMNS = tuple(field.name for field in attrs.fields(Candidate))
"""Columns of the table `candidates`."""

_VOTER_ATTRIBUTES = (
    *(field.name for field in attrs.fields(Voter) if field.name not in ("address", "choice")),
    *(f"address.{field.name}" for field in attrs.fields(Address)),
)
VOTER_COLUMNS = tuple(attribute.replace(".", "_") for attribute in _VOTER_ATTRIBUTES)
"""Columns of the table `voters`."""

voter_row: Callable[[Voter], tuple[Any, ...]] = attrgetter(*_VOTER_ATTRIBUTES)
"""Returns a voter's row in the table, in the order of `VOTER_COLUMNS`."""

_VOTER_TYPES = tuple(
    {"date_of_birth": "date", "registered_age": "int4"}.get(column, "text")
    for column in VOTER_COLUMNS
)

# An arbitrary number that identifies the advisory lock.
_FIRST_CANDIDATES_LOCK = 0x63616E64


def candidates(conn: psycopg.Connection) -> dict[str, Candidate]:
    """Return all candidates by id."""
    query = f"SELECT {', '.join(CANDIDATE_COLUMNS)} FROM candidates ORDER BY candidate_id"
    with conn.cursor(row_factory=class_row(Candidate)) as cursor:
        cursor.execute(query.encode())
        return {candidate.candidate_id: candidate for candidate in cursor}


def candidates_version(conn: psycopg.Connection) -> str:
    """Return a text that differs after a change of the candidates' ids, names or parties."""
    row = conn.execute(
        "SELECT md5(coalesce(string_agg("
        "jsonb_build_array(candidate_id, candidate_name, party_affiliation)::text, ','"
        " ORDER BY candidate_id), '')) FROM candidates"
    ).fetchone()
    assert row is not None
    return str(row[0])


def add_candidates(conn: psycopg.Connection, new: Iterable[Candidate]) -> None:
    """Register candidates; a candidate whose id is already registered stays unchanged."""
    with conn.transaction(), conn.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO candidates ({', '.join(CANDIDATE_COLUMNS)})"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [attrs.astuple(candidate) for candidate in new],
        )


def add_first_candidates(conn: psycopg.Connection, new: Iterable[Candidate]) -> bool:
    """Register candidates, unless a candidate is already registered.

    Of several concurrent callers, only the first registers its candidates.

    Returns:
        Whether the candidates were registered.
    """
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(%s)", (_FIRST_CANDIDATES_LOCK,))
        if candidates(conn):
            return False
        add_candidates(conn, new)
        return True


def add_new_voters(conn: psycopg.Connection, voters: Iterable[Voter]) -> None:
    """Register voters of whom none is registered, in one statement.

    It takes half as long as `add_voters`.

    Raises:
        UniqueViolation: One is registered, or occurs twice. None of them was added.
    """
    with conn.cursor() as cursor:
        _copy_voters(cursor, "voters", voters)


def add_voters(conn: psycopg.Connection, voters: Iterable[Voter]) -> int:
    """Register voters in one transaction; voters already registered stay unchanged.

    Returns:
        The number of new voters.
    """
    with conn.transaction(), conn.cursor() as cursor:
        cursor.execute(
            # Dropped at the commit: a pooler gives the session to other clients.
            "CREATE TEMPORARY TABLE arriving_voters (LIKE voters INCLUDING DEFAULTS) ON COMMIT DROP"
        )
        _copy_voters(cursor, "arriving_voters", voters)
        cursor.execute("INSERT INTO voters SELECT * FROM arriving_voters ON CONFLICT DO NOTHING")
        return cursor.rowcount


def _copy_voters(cursor: psycopg.Cursor, table: str, voters: Iterable[Voter]) -> None:
    columns = ", ".join(VOTER_COLUMNS)
    with cursor.copy(f"COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)".encode()) as copy:
        copy.set_types(_VOTER_TYPES)
        for voter in voters:
            copy.write_row(voter_row(voter))


def find_voters(conn: psycopg.Connection, voter_ids: list[str]) -> dict[str, RegisteredVoter]:
    """Return the registered voters among some voter_ids, by id."""
    rows = conn.execute(
        "SELECT voter_id, date_of_birth, gender, address_state FROM voters"
        " WHERE voter_id = ANY(%b)",
        (voter_ids,),
    )
    return {row[0]: RegisteredVoter(*row) for row in rows}


def voters_by_location(conn: psycopg.Connection) -> dict[str, int]:
    """Return the number of registered voters by location; scans the whole register."""
    rows = conn.execute("SELECT address_state, count(*) FROM voters GROUP BY address_state")
    return dict(rows.fetchall())
