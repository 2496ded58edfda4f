"""How far the count is published: what has to be in every place, and what may be on its way.

The order of reading makes it right. `voting_progress` is read before the topics: what it says is
published is then found on them. The tables are read after the topics: what was published had been
decided before. So a decision below the progress must be published, a published one must be
decided, and a decision beyond the progress may be published or not.
"""

from collections.abc import Mapping

import attrs
import psycopg

from voting_core.checkpoint import OutputPosition, PartitionCheckpoint

__all__ = ["PartitionWatermark", "partition_watermarks", "store_watermarks"]


@attrs.frozen
class PartitionWatermark:
    """The watermarks of a partition of `voters_topic`: offsets below are done, others in flight.

    Attributes:
        votes: Votes of records below are on `votes_topic`.
        rejections: Rejections of records below are on `rejected_votes_topic`.
        decided: Records below are decided; some output topic has, or had, the decision.
    """

    votes: int
    rejections: int
    decided: int


def partition_watermarks(
    partitions: Mapping[int, int],
    progress: Mapping[int, PartitionCheckpoint],
    votes_topic_id: str,
    rejected_topic_id: str,
) -> dict[int, PartitionWatermark]:
    """Return the watermark of each partition.

    Args:
        partitions: First offset of each partition of `voters_topic`.
        progress: What `voting_progress` says of those that it knows.
        votes_topic_id: Id of the present `votes_topic`; progress into another says nothing.
        rejected_topic_id: Id of the present `rejected_votes_topic`, likewise.
    """

    def reached(output: OutputPosition, topic_id: str) -> int:
        return output.next_offset if output.topic_id == topic_id else 0

    watermarks = {}
    for partition in partitions:
        found = progress.get(partition)
        if found is None:
            watermarks[partition] = PartitionWatermark(0, 0, 0)
            continue
        watermarks[partition] = PartitionWatermark(
            reached(found.votes, votes_topic_id),
            reached(found.rejected_votes, rejected_topic_id),
            max(found.votes.next_offset, found.rejected_votes.next_offset),
        )
    return watermarks


def store_watermarks(
    conn: psycopg.Connection, voters_topic_id: str, watermarks: Mapping[int, PartitionWatermark]
) -> None:
    """Keep the watermarks in the new temporary table `watermarks`, for the checks to join."""
    conn.execute(
        "CREATE TEMPORARY TABLE watermarks (topic_id text NOT NULL, partition integer NOT NULL,"
        " votes bigint NOT NULL, rejections bigint NOT NULL, decided bigint NOT NULL)"
    )
    with conn.cursor() as cursor:
        with cursor.copy("COPY watermarks FROM STDIN") as copy:
            for partition, watermark in watermarks.items():
                copy.write_row((voters_topic_id, partition, *attrs.astuple(watermark)))
        cursor.execute("ANALYZE watermarks")
