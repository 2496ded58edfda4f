"""Where the consumer resumes."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from voting_consumer import resume
from voting_consumer.resume import TopicIds, await_stable_offsets, resume_points
from voting_core.checkpoint import OutputPosition, PartitionCheckpoint
from voting_core.exceptions import FatalError

IDS = TopicIds(voters="T", votes="V", rejected_votes="R")


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


def test_open_transactions_are_waited_for() -> None:
    """Kafka refuses the offsets while a transaction of a former owner is open, or times out."""
    timed_out = KafkaException(KafkaError(KafkaError._TIMED_OUT))
    consumer = FakeConsumer(UNSTABLE, timed_out, None)
    await_stable_offsets(cast(Consumer, consumer), [0, 1])
    assert consumer.answers == [None]


def test_a_transaction_that_stays_open_is_fatal(monkeypatch: pytest.MonkeyPatch) -> None:
    """It should have timed out long ago, so its outcome is unknown."""
    monkeypatch.setattr(resume, "STABLE_SECONDS", -1.0)
    with pytest.raises(FatalError, match="unstable"):
        await_stable_offsets(cast(Consumer, FakeConsumer(UNSTABLE)), [0])


def test_without_partitions_nothing_is_waited_for() -> None:
    """A member without partitions does not ask for offsets."""
    await_stable_offsets(cast(Consumer, FakeConsumer(UNSTABLE)), [])
