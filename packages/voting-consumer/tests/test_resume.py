"""Where the consumer resumes."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from voting_consumer.resume import await_stable_offsets, resume_points
from voting_core.checkpoint import OutputPosition, PartitionCheckpoint
from voting_core.exceptions import FatalError

IDS = {"voters_topic": "T", "votes_topic": "V", "rejected_votes_topic": "R"}


def test_resumes_at_the_checkpoint() -> None:
    """A checkpoint of the present topics is used as it is."""
    recorded = {0: PartitionCheckpoint("T", 0, OutputPosition("V", 9), OutputPosition("R", 9))}
    assert resume_points([0], recorded, IDS) == recorded


def test_starts_at_the_beginning_without_a_checkpoint() -> None:
    """A partition of which nothing is published starts at offset 0."""
    assert resume_points([2], {}, IDS)[2].next_offset == 0


def test_only_a_recreated_topic_is_filled_again() -> None:
    """The decisions are published again, but not to the topic that still holds them."""
    recorded = {
        0: PartitionCheckpoint("T", 0, OutputPosition("V", 9), OutputPosition("former R", 9))
    }
    point = resume_points([0], recorded, IDS)[0]
    assert point.next_offset == 0
    assert (point.votes, point.rejected_votes) == (OutputPosition("V", 9), OutputPosition("R", 0))


class FakeConsumer:
    """Returns or raises given answers to requests for the group's offsets, one a call."""

    def __init__(self, *answers: KafkaError | KafkaException | None) -> None:
        self.answers = list(answers)

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[Any]:
        """Return each partition with the next error, or raise it."""
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, KafkaException):
            raise answer
        return [SimpleNamespace(error=answer) for _ in partitions]


UNSTABLE = KafkaError(KafkaError.UNSTABLE_OFFSET_COMMIT)


def await_offsets(consumer: FakeConsumer, partitions: list[int], *, stopping: bool = False) -> None:
    """Wait for stable offsets."""
    await_stable_offsets(cast(Consumer, consumer), partitions, lambda: stopping)


@pytest.mark.parametrize("code", [KafkaError._TIMED_OUT, KafkaError.NOT_COORDINATOR])
def test_open_transactions_are_waited_for(code: int) -> None:
    """Kafka refuses the offsets while a transaction of a former owner is open, or is away."""
    consumer = FakeConsumer(UNSTABLE, KafkaException(KafkaError(code)), None)
    await_offsets(consumer, [0, 1])
    assert consumer.answers == [None]


@pytest.mark.parametrize(
    "code", [KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART]
)
@pytest.mark.parametrize("kind", [KafkaException, lambda error: error])
def test_an_error_that_does_not_pass_is_fatal_at_once(code: int, kind: Any) -> None:
    """Repeating the request would be a busy loop."""
    consumer = FakeConsumer(kind(KafkaError(code)), None)
    with pytest.raises(FatalError, match="group's offsets"):
        await_offsets(consumer, [0])
    assert consumer.answers == [None]


def test_a_stop_ends_the_wait() -> None:
    """The transaction of another consumer may stay open for long."""
    with pytest.raises(KafkaException):
        await_offsets(FakeConsumer(UNSTABLE), [0], stopping=True)


def test_without_partitions_nothing_is_waited_for() -> None:
    """A member without partitions does not ask for offsets."""
    await_offsets(FakeConsumer(UNSTABLE), [])
