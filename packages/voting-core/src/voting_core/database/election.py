"""The election's identity in PostgreSQL: the one row of the table `election`."""

from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from voting_core.election import Election, ElectionMode, VotingRules
from voting_core.exceptions import ElectionError
from voting_core.rules import PollingHours

_COLUMNS = (
    "election_id, mode, name, began_at, voting_age, polls_open, polls_close, draw_seed,"
    " draw_weights, topic_ids"
)


def read_election(conn: psycopg.Connection) -> Election | None:
    """Return the database's election; None before `voting init` has created one."""
    row = conn.execute(f"SELECT {_COLUMNS} FROM election").fetchone()
    if row is None:
        return None
    election_id, mode, name, began_at, age, opens, closes, seed, weights, topic_ids = row
    return Election(
        election_id=election_id,
        mode=ElectionMode(mode),
        name=name,
        began_at=began_at,
        rules=VotingRules(
            voting_age=age,
            hours=PollingHours(opens, closes),
            draw_seed=seed,
            draw_weights={candidate: float(weight) for candidate, weight in weights.items()},
        ),
        topic_ids=topic_ids,
    )


def require_election(conn: psycopg.Connection) -> Election:
    """Return the database's election.

    Raises:
        ElectionError: It has none.
    """
    election = read_election(conn)
    if election is None:
        raise ElectionError("the database is of no election", "run `voting init`")
    return election


def create_election(conn: psycopg.Connection, election: Election) -> bool:
    """Store the election of a database that has none; return whether it had none."""
    stored = conn.execute(
        f"INSERT INTO election ({_COLUMNS})"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        _values(election),
    )
    return bool(stored.rowcount)


def update_election(conn: psycopg.Connection, election: Election) -> None:
    """Replace the description of the database's election."""
    conn.execute(
        f"UPDATE election SET ({_COLUMNS}) = (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        _values(election),
    )


def claim_consumer_group(conn: psycopg.Connection, group: str) -> None:
    """Check that a consumer group may decide and publish; the first one that asks may.

    Each group reads all ballots, so a second one would publish every decision a second time.

    Raises:
        ElectionError: The election has another group.
    """
    present = read_consumer_group(conn)
    if present is None:
        change_consumer_group(conn, None, group)
        present = read_consumer_group(conn)
    # Without an election there is no group; the check of the election reports that.
    if present not in (None, group):
        raise ElectionError(
            f"the consumer group of the election is {present!r}; the group {group!r} would publish "
            "every vote a second time: use the same --group for all consumers, or stop the "
            "services and change it by `voting init --consumer-group`"
        )


def read_consumer_group(conn: psycopg.Connection) -> str | None:
    """Return the consumer group of the election; None before its first consumer."""
    row = conn.execute("SELECT consumer_group FROM election").fetchone()
    return None if row is None else row[0]


def change_consumer_group(conn: psycopg.Connection, before: str | None, after: str) -> bool:
    """Replace the consumer group of the election; return whether it was still the one before."""
    changed = conn.execute(
        "UPDATE election SET consumer_group = %s WHERE consumer_group IS NOT DISTINCT FROM %s",
        (after, before),
    )
    return bool(changed.rowcount)


def first_migration_time(conn: psycopg.Connection) -> datetime:
    """Return when the database's first table was created."""
    row = conn.execute("SELECT min(applied_at) FROM schema_migrations").fetchone()
    assert row is not None
    return row[0]  # type: ignore[no-any-return]


def _values(election: Election) -> tuple[Any, ...]:
    rules = election.rules
    return (
        election.election_id,
        election.mode.value,
        election.name,
        election.began_at,
        rules.voting_age,
        rules.hours.open,
        rules.hours.close,
        rules.draw_seed,
        Jsonb(dict(rules.draw_weights)),
        Jsonb(dict(election.topic_ids)),
    )
