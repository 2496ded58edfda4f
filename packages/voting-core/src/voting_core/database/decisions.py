"""Decisions on ballots in PostgreSQL: every record ends as one vote or one rejection.

A decision is identified by its record's coordinates and never changes. A consumer locks the
record's partition for the whole transaction, so that a former owner of the partition cannot decide
the same record differently at the same time. The primary key of `votes`, `voter_id`, gives each
person one vote.
"""

from collections.abc import Iterable, Mapping, Sequence

import attrs
import psycopg

from voting_core.models import Coordinates, Reason, Rejection, StoredVote, Vote


@attrs.frozen(order=True)
class RecordRange:
    """The records of one partition with offsets from `start` up to, not including, `end`."""

    topic_id: str
    partition: int
    start: int
    end: int


_IN_RANGE = (
    "source_topic_id = %s AND source_partition = %s AND source_offset >= %s AND source_offset < %s"
)


def lock_partitions(conn: psycopg.Connection, ranges: Iterable[RecordRange]) -> None:
    """Lock the ranges' partitions against other decisions until the transaction ends."""
    # All consumers lock in the same order, which prevents deadlocks. PostgreSQL calls a volatile
    # function after it has sorted the rows.
    conn.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(name, 0))"
        " FROM unnest(%b::text[]) WITH ORDINALITY AS locked (name, number) ORDER BY number",
        ([f"{each.topic_id}:{each.partition}" for each in sorted(ranges)],),
    )


def require_durable_commit(conn: psycopg.Connection) -> None:
    """Let the transaction's commit wait for the disk, whatever the database's default is.

    What is published after the commit must survive a crash of the server.
    """
    conn.execute(
        "SELECT set_config('synchronous_commit', 'on', true)"
        " WHERE current_setting('synchronous_commit') = 'off'"
    )


def decided_offsets(conn: psycopg.Connection, record_range: RecordRange) -> set[int]:
    """Return the offsets in the range that already have a decision."""
    rows = conn.execute(
        f"SELECT source_offset FROM votes WHERE {_IN_RANGE}"
        f" UNION ALL SELECT source_offset FROM rejections WHERE {_IN_RANGE}",
        attrs.astuple(record_range) * 2,
    )
    return {row[0] for row in rows}


def missing_decisions(
    conn: psycopg.Connection, topic_id: str, offsets: Mapping[int, int]
) -> dict[int, int]:
    """Return those of some records, one of each partition, that have no decision.

    Args:
        conn: To the database.
        topic_id: Id of `voters_topic`.
        offsets: The records' offsets, by partition.
    """
    at_record = "(source_topic_id, source_partition, source_offset) = (%s, record.p, record.o)"
    rows = conn.execute(
        "SELECT p, o FROM unnest(%b::integer[], %b::bigint[]) AS record (p, o)"
        f" WHERE NOT EXISTS (SELECT FROM votes WHERE {at_record})"
        f" AND NOT EXISTS (SELECT FROM rejections WHERE {at_record})",
        (list(offsets.keys()), list(offsets.values()), topic_id, topic_id),
    )
    return dict(rows.fetchall())


def decided_ends(
    conn: psycopg.Connection, topic_id: str, partitions: Iterable[int]
) -> dict[int, int]:
    """Return the first offset beyond all decisions on each partition; 0 without any."""

    def last_offset(table: str) -> str:
        return (
            f"(SELECT max(source_offset) FROM {table}"
            " WHERE source_topic_id = %s AND source_partition = number)"
        )

    rows = conn.execute(
        "SELECT number,"
        f" coalesce(greatest({last_offset('votes')}, {last_offset('rejections')}) + 1, 0)"
        " FROM unnest(%b::integer[]) AS number",
        (topic_id, topic_id, list(partitions)),
    )
    return dict(rows.fetchall())


def insert_votes(conn: psycopg.Connection, votes: Sequence[Vote]) -> set[str]:
    """Insert votes, except for voters who already have one.

    Returns:
        The voter_ids of the inserted votes; voters absent from the result already have a vote.
    """
    if not votes:
        return set()
    # Two consumers with ballots of the same voters could deadlock without a common order.
    rows = conn.execute(
        "INSERT INTO votes (voter_id, candidate_id, voting_time, state, gender, age,"
        " source_topic_id, source_partition, source_offset)"
        " SELECT * FROM unnest(%b::text[], %b::text[], %b::timestamptz[], %b::text[], %b::text[],"
        " %b::integer[], %b::text[], %b::integer[], %b::bigint[]) AS vote (voter_id)"
        " ORDER BY voter_id ON CONFLICT (voter_id) DO NOTHING RETURNING voter_id",
        (
            [vote.voter_id for vote in votes],
            [vote.candidate_id for vote in votes],
            [vote.voting_time for vote in votes],
            [vote.state for vote in votes],
            [vote.gender for vote in votes],
            [vote.age for vote in votes],
            [vote.coordinates.topic_id for vote in votes],
            [vote.coordinates.partition for vote in votes],
            [vote.coordinates.offset for vote in votes],
        ),
    )
    return {row[0] for row in rows}


def insert_rejections(conn: psycopg.Connection, rejections: Sequence[Rejection]) -> None:
    """Insert rejections."""
    if not rejections:
        return
    with conn.cursor().copy(
        "COPY rejections (source_topic_id, source_partition, source_offset, voter_id, reason,"
        " detail, record_time, record_size, record_sha256, record_head) FROM STDIN"
    ) as copy:
        for r in rejections:
            source = attrs.astuple(r.coordinates)
            evidence = (r.time, r.size, r.sha256, r.head)
            copy.write_row((*source, r.voter_id, r.reason.value, r.detail, *evidence))


def read_votes(conn: psycopg.Connection, record_range: RecordRange) -> list[StoredVote]:
    """Return the votes in a range, in offset order."""
    rows = conn.execute(
        "SELECT voter_id, candidate_id, voting_time, state, gender, age, source_offset,"
        " candidate_name, party_affiliation FROM votes JOIN candidates USING (candidate_id)"
        f" WHERE {_IN_RANGE} ORDER BY source_offset",
        attrs.astuple(record_range),
    )
    topic_id, partition = record_range.topic_id, record_range.partition
    return [
        StoredVote(Vote(Coordinates(topic_id, partition, offset), *decision), name, party)
        for *decision, offset, name, party in rows
    ]


def read_rejections(conn: psycopg.Connection, record_range: RecordRange) -> list[Rejection]:
    """Return the rejections in a range, in offset order."""
    rows = conn.execute(
        "SELECT source_offset, voter_id, reason, detail, record_time, record_size, record_sha256,"
        f" record_head FROM rejections WHERE {_IN_RANGE} ORDER BY source_offset",
        attrs.astuple(record_range),
    )
    topic_id, partition = record_range.topic_id, record_range.partition
    return [
        Rejection(Coordinates(topic_id, partition, offset), voter_id, Reason(reason), *rest)
        for offset, voter_id, reason, *rest in rows
    ]
