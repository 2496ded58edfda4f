"""Where the consumer goes on."""

from voting_consumer.resume import TopicIds, resume_points
from voting_core.checkpoint import OutputPosition, PartitionCheckpoint

IDS = TopicIds(voters="T", votes="V", rejected_votes="R")


def test_goes_on_where_progress_says() -> None:
    """With a record of the present topics, behind what they hold."""
    recorded = {0: PartitionCheckpoint("T", 0, OutputPosition("V", 9), OutputPosition("R", 9))}
    assert resume_points([0], recorded, IDS) == recorded


def test_starts_at_the_beginning_without_a_record() -> None:
    """A partition that nobody has published yet starts at offset 0."""
    assert resume_points([2], {}, IDS)[2].next_offset == 0


def test_only_a_recreated_topic_is_filled_again() -> None:
    """The decisions start anew, but the output that is still there does not get them twice."""
    recorded = {
        0: PartitionCheckpoint("T", 0, OutputPosition("V", 9), OutputPosition("former R", 9))
    }
    point = resume_points([0], recorded, IDS)[0]
    assert point.next_offset == 0
    assert (point.votes, point.rejected_votes) == (OutputPosition("V", 9), OutputPosition("R", 0))
