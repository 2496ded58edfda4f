"""Decisions on ballots in PostgreSQL: every record ends as one vote or one rejection.

A decision is identified by its record's coordinates and never changes. A consumer locks the
record's partition for the whole transaction, so that a former owner of the partition cannot decide
the same record differently at the same time. The primary key of `votes`, `voter_id`, gives each
person one vote.
"""

from collections.abc import Iterable, Sequence

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
    # All consumers lock in the same order, which prevents deadlocks.
    for record_range in sorted(ranges):
        conn.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            (f"{record_range.topic_id}:{record_range.partition}",),
        )


def decided_offsets(conn: psycopg.Connection, record_range: RecordRange) -> set[int]:
    """Return the offsets in the range that already have a decision."""
    rows = conn.execute(
        f"SELECT source_offset FROM votes WHERE {_IN_RANGE}"
        f" UNION ALL SELECT source_offset FROM rejections WHERE {_IN_RANGE}",
        attrs.astuple(record_range) * 2,
    )
    return {row[0] for row in rows}


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
