"""Where to go on: `voting_progress` says which decisions the output topics hold."""

from collections.abc import Iterable, Mapping

import attrs
from confluent_kafka.admin import AdminClient

from voting_core import topics
from voting_core.checkpoint import OutputPosition, PartitionCheckpoint
from voting_core.kafka import topic_ids

__all__ = ["TopicIds", "find_topic_ids", "resume_points"]


@attrs.frozen
class TopicIds:
    """The ids of the topic that is read and of those that are written."""

    voters: str
    votes: str
    rejected_votes: str


def find_topic_ids(admin: AdminClient) -> TopicIds:
    """Ask Kafka for the ids."""
    wanted = (topics.VOTERS, topics.VOTES, topics.REJECTED_VOTES)
    ids = topic_ids(admin, wanted)
    return TopicIds(*(ids[topic.name] for topic in wanted))


def resume_points(
    partitions: Iterable[int], recorded: Mapping[int, PartitionCheckpoint], ids: TopicIds
) -> dict[int, PartitionCheckpoint]:
    """Return how far each output topic holds the decisions on each partition.

    Without a record that is nowhere. An output topic that was recreated has another id and holds
    nothing: its decisions are published again from the first on, those of the other are not.
    """

    def reached(output: OutputPosition | None, topic_id: str) -> OutputPosition:
        if output is not None and output.topic_id == topic_id:
            return output
        return OutputPosition(topic_id, 0)

    points = {}
    for partition in partitions:
        last = recorded.get(partition)
        points[partition] = PartitionCheckpoint(
            voters_topic_id=ids.voters,
            partition=partition,
            votes=reached(last.votes if last else None, ids.votes),
            rejected_votes=reached(last.rejected_votes if last else None, ids.rejected_votes),
        )
    return points
