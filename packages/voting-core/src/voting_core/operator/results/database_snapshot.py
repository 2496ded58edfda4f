"""The tables at one point in time."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date

import attrs
import psycopg

from voting_core.database import repeatable_read
from voting_core.database.voter_register import candidates, voters_by_location
from voting_core.models import Candidate, Coordinates
from voting_core.operator.coverage import Partition
from voting_core.operator.results.model import LoggedVote, PartitionCount
from voting_core.operator.vote_counts import count_rejections

FETCH_ROWS = 5_000


@attrs.frozen
class DatabaseSnapshot:
    """The tables at one point in time; usable until its transaction ends.

    Attributes:
        voting_days: UTC days of the first and the last vote; None without votes.
        candidates: All candidates, in the order of their ids.
        registered: Number of registered voters by location.
        rejections: Number of rejections by reason.
    """

    votes: int
    voting_days: tuple[date, date] | None
    candidates: tuple[Candidate, ...]
    registered: dict[str, int]
    rejections: dict[str, int]
    rejected: dict[Partition, PartitionCount]
    _conn: psycopg.Connection = attrs.field(repr=False)

    def logged_votes(self) -> Iterator[LoggedVote]:
        """Yield every vote in the bytewise order of the voter_ids, in bounded memory."""
        with self._conn.cursor(name="vote_log") as cursor:
            cursor.itersize = FETCH_ROWS
            cursor.execute(
                "SELECT voter_id, candidate_id, state, voting_time, source_topic_id,"
                ' source_partition, source_offset FROM votes ORDER BY voter_id COLLATE "C"',
                binary=True,
            )
            for voter_id, candidate_id, state, time, *source in cursor:
                yield LoggedVote(voter_id, candidate_id, state, time, Coordinates(*source))


@contextmanager
def open_snapshot(conn: psycopg.Connection) -> Iterator[DatabaseSnapshot]:
    """Take a snapshot of the tables, on a connection in autocommit mode."""
    with repeatable_read(conn):
        yield _read(conn)


def _read(conn: psycopg.Connection) -> DatabaseSnapshot:
    votes, first, last = conn.execute(
        "SELECT count(*), min(voting_time), max(voting_time) FROM votes"
    ).fetchone() or (0, None, None)
    rejected = conn.execute(
        "SELECT source_topic_id, source_partition, count(*), max(source_offset) FROM rejections"
        " GROUP BY source_topic_id, source_partition"
    )
    by_id = candidates(conn)
    return DatabaseSnapshot(
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
