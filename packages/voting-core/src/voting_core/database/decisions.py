"""Decisions on ballots in PostgreSQL: every record ends as one vote or one rejection.

A decision belongs to the coordinates of the record that it decides and never changes. Whoever
decides takes the lock of the record's partition for the length of the transaction, so that nobody
else, such as the partition's former owner waking up late, can decide the same record differently
in between.
"""

from collections.abc import Iterable, Sequence

import attrs
import psycopg

from voting_core.models import Coordinates, Reason, Rejection, StoredVote, Vote

__all__ = [
    "RecordRange",
    "decided_offsets",
    "insert_rejections",
    "insert_votes",
    "lock_partitions",
    "read_rejections",
    "read_votes",
]


@attrs.frozen(order=True)
class RecordRange:
    """Consecutive records of one partition: offsets from `start` up to but without `end`."""

    topic_id: str
    partition: int
    start: int
    end: int


def _in_range(record_range: RecordRange) -> tuple[str, int, int, int]:
    return attrs.astuple(record_range)


_IN_RANGE = (
    "source_topic_id = %s AND source_partition = %s AND source_offset >= %s AND source_offset < %s"
)


def lock_partitions(conn: psycopg.Connection, ranges: Iterable[RecordRange]) -> None:
    """Let nobody else decide on these partitions until the transaction ends."""
    # In one order everywhere, so that two consumers cannot wait for each other.
    for record_range in sorted(ranges):
        conn.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            (f"{record_range.topic_id}:{record_range.partition}",),
        )


def decided_offsets(conn: psycopg.Connection, record_range: RecordRange) -> set[int]:
    """Return the offsets in the range that have a decision already."""
    rows = conn.execute(
        f"SELECT source_offset FROM votes WHERE {_IN_RANGE}"
        f" UNION ALL SELECT source_offset FROM rejections WHERE {_IN_RANGE}",
        _in_range(record_range) * 2,
    )
    return {row[0] for row in rows}


def insert_votes(conn: psycopg.Connection, votes: Sequence[Vote]) -> set[str]:
    """Store the votes of those who have none yet.

    Returns:
        The voter_ids whose vote was stored; the others had voted before.
    """
    if not votes:
        return set()
    # In one order everywhere: two consumers with ballots of the same voters would otherwise be
    # able to wait for each other.
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
    """Store rejections."""
    if not rejections:
        return
    with conn.cursor().copy(
        "COPY rejections (source_topic_id, source_partition, source_offset, voter_id, reason,"
        " detail, record_time, record_size, record_sha256, record_head) FROM STDIN"
    ) as copy:
        for r in rejections:
            place = r.coordinates
            copy.write_row(
                (
                    *(place.topic_id, place.partition, place.offset, r.voter_id, r.reason.value),
                    *(r.detail, r.time, r.size, r.sha256, r.head),
                )
            )


def read_votes(conn: psycopg.Connection, record_range: RecordRange) -> list[StoredVote]:
    """Return the votes decided in a range, lowest offset first."""
    rows = conn.execute(
        "SELECT voter_id, candidate_id, voting_time, state, gender, age, source_offset,"
        " candidate_name, party_affiliation FROM votes JOIN candidates USING (candidate_id)"
        f" WHERE {_IN_RANGE} ORDER BY source_offset",
        _in_range(record_range),
    )
    topic_id, partition = record_range.topic_id, record_range.partition
    return [
        StoredVote(Vote(Coordinates(topic_id, partition, offset), *decision), name, party)
        for *decision, offset, name, party in rows
    ]


def read_rejections(conn: psycopg.Connection, record_range: RecordRange) -> list[Rejection]:
    """Return the rejections decided in a range, lowest offset first."""
    rows = conn.execute(
        "SELECT source_offset, voter_id, reason, detail, record_time, record_size, record_sha256,"
        f" record_head FROM rejections WHERE {_IN_RANGE} ORDER BY source_offset",
        _in_range(record_range),
    )
    topic_id, partition = record_range.topic_id, record_range.partition
    return [
        Rejection(Coordinates(topic_id, partition, offset), voter_id, Reason(reason), *rest)
        for offset, voter_id, reason, *rest in rows
    ]
