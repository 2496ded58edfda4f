"""How far the count is published: what has to be in every place, and what may be on its way.

The order of reading makes it right. `voting_progress` is read before the topics: what it says is
published is then found on them. The tables are read after the topics: what was published had been
decided before. So a decision below the progress must be published, a published one must be
decided, and a decision beyond the progress may be published or not.
"""

from collections.abc import Mapping

import attrs
import psycopg

from voting_core.wire import Output, Progress

__all__ = ["PartitionCut", "partition_cuts", "store_cuts"]


@attrs.frozen
class PartitionCut:
    """Where a partition of `voters_topic` is cut; offsets below are done, others on their way.

    Attributes:
        votes: Votes of records below are on `votes_topic`.
        rejections: Rejections of records below are on `rejected_votes_topic`.
        decided: Records below are decided; some output topic has, or had, the decision.
    """

    votes: int
    rejections: int
    decided: int


def partition_cuts(
    partitions: Mapping[int, int],
    progress: Mapping[int, Progress],
    votes_topic_id: str,
    rejected_topic_id: str,
) -> dict[int, PartitionCut]:
    """Return the cut of each partition.

    Args:
        partitions: First offset of each partition of `voters_topic`.
        progress: What `voting_progress` says of those that it knows.
        votes_topic_id: Id of the present `votes_topic`; progress into another says nothing.
        rejected_topic_id: Id of the present `rejected_votes_topic`, likewise.
    """

    def reached(output: Output, topic_id: str) -> int:
        return output.next_offset if output.topic_id == topic_id else 0

    cuts = {}
    for partition in partitions:
        found = progress.get(partition)
        if found is None:
            cuts[partition] = PartitionCut(0, 0, 0)
            continue
        cuts[partition] = PartitionCut(
            reached(found.votes, votes_topic_id),
            reached(found.rejected_votes, rejected_topic_id),
            max(found.votes.next_offset, found.rejected_votes.next_offset),
        )
    return cuts


def store_cuts(
    conn: psycopg.Connection, voters_topic_id: str, cuts: Mapping[int, PartitionCut]
) -> None:
    """Keep the cuts in the new temporary table `cuts`, for the checks to join."""
    conn.execute(
        "CREATE TEMPORARY TABLE cuts (topic_id text NOT NULL, partition integer NOT NULL,"
        " votes bigint NOT NULL, rejections bigint NOT NULL, decided bigint NOT NULL)"
    )
    with conn.cursor() as cursor:
        with cursor.copy("COPY cuts FROM STDIN") as copy:
            for partition, cut in cuts.items():
                copy.write_row((voters_topic_id, partition, *attrs.astuple(cut)))
        cursor.execute("ANALYZE cuts")
