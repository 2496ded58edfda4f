"""Where to resume: `voting_progress` records which decisions are on the output topics."""

import time
from collections.abc import Iterable, Mapping

import attrs
import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from voting_core import topics
from voting_core.checkpoint import OutputPosition, PartitionCheckpoint
from voting_core.exceptions import FatalError
from voting_core.kafka import topic_ids

ATTEMPT_SECONDS = 15.0

STABLE_SECONDS = 60.0
"""Longer than any transaction of a consumer can stay open."""

log = structlog.get_logger()


@attrs.frozen
class TopicIds:
    """The ids of the input topic and the output topics."""

    voters: str
    votes: str
    rejected_votes: str


def find_topic_ids(admin: AdminClient) -> TopicIds:
    """Return the current ids.

    Raises:
        TopicError: A topic does not exist.
    """
    wanted = (topics.VOTERS, topics.VOTES, topics.REJECTED_VOTES)
    ids = topic_ids(admin, wanted)
    return TopicIds(*(ids[topic.name] for topic in wanted))


def resume_points(
    partitions: Iterable[int], recorded: Mapping[int, PartitionCheckpoint], ids: TopicIds
) -> dict[int, PartitionCheckpoint]:
    """Return the checkpoint of each partition for the present topics.

    Without a recorded checkpoint both output topics start at offset 0. A recreated output topic
    has another id and is empty: it starts at offset 0 too, and the other one does not.
    """

    def present(output: OutputPosition | None, topic_id: str) -> OutputPosition:
        if output is not None and output.topic_id == topic_id:
            return output
        return OutputPosition(topic_id, 0)

    points = {}
    for partition in partitions:
        last = recorded.get(partition)
        points[partition] = PartitionCheckpoint(
            voters_topic_id=ids.voters,
            partition=partition,
            votes=present(last.votes if last else None, ids.votes),
            rejected_votes=present(last.rejected_votes if last else None, ids.rejected_votes),
        )
    return points


def await_stable_offsets(consumer: Consumer, partitions: Iterable[int]) -> None:
    """Wait until no transaction of a former owner of the partitions is open.

    The consumer must be a `read_committed` member of the group.

    Raises:
        FatalError: One is still open after a minute, although its timeout is shorter.
    """
    offsets = [TopicPartition(topics.VOTERS.name, partition) for partition in partitions]
    deadline = time.monotonic() + STABLE_SECONDS
    while offsets:
        try:
            answers = consumer.committed(offsets, timeout=ATTEMPT_SECONDS)
            errors = [answer.error for answer in answers if answer.error is not None]
        except KafkaException as error:
            errors = [error.args[0]]
        if not errors:
            return
        if time.monotonic() > deadline:
            raise FatalError(f"the group's offsets stay unstable: {errors[0].str()}")
        log.info("waiting for stable offsets", error=errors[0].str())
