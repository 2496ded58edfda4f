"""The watermark of each partition: below it, decisions are final and must be in every data store.

The order of reading makes the comparison correct. The checkpoints are read before the output
topics, so what they cover is found there. The tables are read after the topics, so the decision on
every published record is found there. Decisions beyond the watermark are in flight: they may be
published or not.
"""

from collections.abc import Iterable, Mapping

import attrs
import psycopg

from voting_core.checkpoint import OutputPosition, PartitionCheckpoint

_DECIDED = """(SELECT d.* FROM {table} d JOIN watermarks w ON w.topic_id = d.source_topic_id
 AND w.partition = d.source_partition AND d.source_offset < w.decided)"""
DECIDED_VOTES = _DECIDED.format(table="votes")
"""The votes below the watermark, as a FROM operand."""
DECIDED_REJECTIONS = _DECIDED.format(table="rejections")
"""The rejections below the watermark, as a FROM operand."""


@attrs.frozen
class PartitionWatermark:
    """The watermarks of a partition of `voters_topic`, as offsets, exclusive.

    Attributes:
        votes: Votes on records below are on `votes_topic`.
        rejections: Rejections of records below are on `rejected_votes_topic`.
        decided: Records below are decided; an output topic has or had the decision.
    """

    votes: int
    rejections: int
    decided: int


def partition_watermarks(
    partitions: Iterable[int],
    checkpoints: Mapping[int, PartitionCheckpoint],
    votes_topic_id: str,
    rejected_topic_id: str,
) -> dict[int, PartitionWatermark]:
    """Return the watermark of each partition; a position in a former output topic does not count.

    `partitions` are the numbers of the partitions of `voters_topic`.
    """

    def published(output: OutputPosition, topic_id: str) -> int:
        return output.next_offset if output.topic_id == topic_id else 0

    watermarks = dict.fromkeys(partitions, PartitionWatermark(0, 0, 0))
    for partition in watermarks.keys() & checkpoints.keys():
        votes, rejected = checkpoints[partition].votes, checkpoints[partition].rejected_votes
        watermarks[partition] = PartitionWatermark(
            published(votes, votes_topic_id),
            published(rejected, rejected_topic_id),
            max(votes.next_offset, rejected.next_offset),
        )
    return watermarks


def store_watermarks(
    conn: psycopg.Connection, voters_topic_id: str, watermarks: Mapping[int, PartitionWatermark]
) -> None:
    """Store the watermarks in the new temporary table `watermarks`, for the checks to join."""
    conn.execute(
        "CREATE TEMPORARY TABLE watermarks (topic_id text NOT NULL, partition integer NOT NULL,"
        " votes bigint NOT NULL, rejections bigint NOT NULL, decided bigint NOT NULL)"
    )
    with conn.cursor() as cursor:
        with cursor.copy("COPY watermarks FROM STDIN") as copy:
            for partition, watermark in watermarks.items():
                copy.write_row((voters_topic_id, partition, *attrs.astuple(watermark)))
        cursor.execute("ANALYZE watermarks")
