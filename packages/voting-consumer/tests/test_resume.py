"""Where the consumer resumes."""

from voting_consumer.resume import TopicIds, resume_points
from voting_core.checkpoint import OutputPosition, PartitionCheckpoint

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
