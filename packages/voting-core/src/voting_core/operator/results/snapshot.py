"""What PostgreSQL holds at one moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date

import attrs
import psycopg

from voting_core.database.voter_register import candidates, voters_by_location
from voting_core.models import Candidate, Coordinates
from voting_core.operator.counts import count_rejections
from voting_core.operator.results.model import LoggedVote, Partition, PartitionCount

__all__ = ["Snapshot", "open_snapshot"]

FETCH_ROWS = 5_000


@attrs.frozen
class Snapshot:
    """The tables at one moment; usable as long as its transaction is open.

    Attributes:
        votes: Number of votes.
        voting_days: UTC days of the first and the last vote; None without votes.
        candidates: All candidates, in the order of their ids.
        registered: Registered voters of each location.
        rejections: Rejections by reason.
        rejected: Rejections by the partition of `voters_topic` that they came from.
    """

    votes: int
    voting_days: tuple[date, date] | None
    candidates: tuple[Candidate, ...]
    registered: dict[str, int]
    rejections: dict[str, int]
    rejected: dict[Partition, PartitionCount]
    _conn: psycopg.Connection = attrs.field(repr=False)

    def logged_votes(self) -> Iterator[LoggedVote]:
        """Yield every vote in the order of the voters' ids, bytewise, in bounded memory."""
        with self._conn.cursor(name="vote_log") as cursor:
            cursor.itersize = FETCH_ROWS
            cursor.execute(
                "SELECT voter_id, candidate_id, state, voting_time, source_topic_id,"
                ' source_partition, source_offset FROM votes ORDER BY voter_id COLLATE "C"',
                binary=True,
            )
            for voter_id, candidate_id, state, time, *place in cursor:
                yield LoggedVote(voter_id, candidate_id, state, time, Coordinates(*place))


@contextmanager
def open_snapshot(conn: psycopg.Connection) -> Iterator[Snapshot]:
    """Read the tables as they are at one moment, however long reading them takes.

    Args:
        conn: A connection in autocommit mode, outside of any transaction.
    """
    before = conn.isolation_level
    conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    try:
        with conn.transaction():
            yield _read(conn)
    finally:
        if not conn.closed:
            conn.isolation_level = before


def _read(conn: psycopg.Connection) -> Snapshot:
    votes, first, last = conn.execute(
        "SELECT count(*), min(voting_time), max(voting_time) FROM votes"
    ).fetchone() or (0, None, None)
    rejected = conn.execute(
        "SELECT source_topic_id, source_partition, count(*), max(source_offset) FROM rejections"
        " GROUP BY source_topic_id, source_partition"
    )
    by_id = candidates(conn)
    return Snapshot(
        votes=votes,
        voting_days=(first.astimezone(UTC).date(), last.astimezone(UTC).date()) if votes else None,
        candidates=tuple(by_id[candidate_id] for candidate_id in sorted(by_id)),
        registered=voters_by_location(conn),
        rejections=count_rejections(conn),
        rejected={
            (topic_id, partition): PartitionCount(records, offset)
            for topic_id, partition, records, offset in rejected
        },
        conn=conn,
    )
