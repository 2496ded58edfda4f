"""Where to resume: `voting_progress` records which decisions are on the output topics."""

from collections.abc import Callable, Iterable, Mapping

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from voting_core import topics
from voting_core.checkpoint import OutputPosition, PartitionCheckpoint
from voting_core.exceptions import FatalError
from voting_core.kafka import is_unavailable
from voting_core.service.outage import OutageLog, retry_until_available

ATTEMPT_SECONDS = 2.0

log = structlog.get_logger()


def resume_points(
    partitions: Iterable[int],
    recorded: Mapping[int, PartitionCheckpoint],
    topic_ids: Mapping[str, str],
) -> dict[int, PartitionCheckpoint]:
    """Return the checkpoint of each partition for the present topics.

    Without a recorded checkpoint both output topics start at offset 0. A recreated output topic
    has another id and is empty: it starts at offset 0 too, and the other one does not.

    Args:
        partitions: The partitions of `voters_topic`.
        recorded: The last checkpoint of each partition that has one.
        topic_ids: The present ids of `voters_topic` and of the output topics, by name.
    """

    def present(output: OutputPosition | None, topic: topics.TopicSpec) -> OutputPosition:
        topic_id = topic_ids[topic.name]
        if output is not None and output.topic_id == topic_id:
            return output
        return OutputPosition(topic_id, 0)

    points = {}
    for partition in partitions:
        last = recorded.get(partition)
        points[partition] = PartitionCheckpoint(
            voters_topic_id=topic_ids[topics.VOTERS.name],
            partition=partition,
            votes=present(last.votes if last else None, topics.VOTES),
            rejected_votes=present(last.rejected_votes if last else None, topics.REJECTED_VOTES),
        )
    return points


def await_stable_offsets(
    consumer: Consumer, partitions: Iterable[int], should_stop: Callable[[], bool]
) -> None:
    """Wait until no transaction of a former owner of the partitions is open.

    The consumer must be a `read_committed` member of the group.

    Raises:
        FatalError: The group's offsets cannot be read, for instance without authorization.
        KafkaException: A stop was requested meanwhile.
    """
    offsets = [TopicPartition(topics.VOTERS.name, partition) for partition in partitions]
    if not offsets:
        return

    def read_offsets() -> None:
        for answer in consumer.committed(offsets, timeout=ATTEMPT_SECONDS):
            if answer.error is not None:
                raise KafkaException(answer.error)

    try:
        retry_until_available(
            read_offsets,
            retry_on=_may_become_stable,
            outage=OutageLog("the group's stable offsets"),
            should_stop=should_stop,
        )
    except KafkaException as error:
        if _may_become_stable(error):
            raise
        raise FatalError(
            f"cannot read the group's offsets of {topics.VOTERS.name}: {error.args[0].str()}"
        ) from error


def _may_become_stable(error: Exception) -> bool:
    # Some topic errors are retriable in librdkafka, but only an operator can end them.
    is_permanent = isinstance(error, KafkaException) and error.args[0].code() in _PERMANENT
    return is_unavailable(error) and not is_permanent


_PERMANENT = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
    }
)
