"""The watermark of each partition."""

from voting_core.checkpoint import OutputPosition, PartitionCheckpoint
from voting_core.operator.reconcile.watermark import PartitionWatermark, partition_watermarks


def test_positions_in_a_deleted_topic_do_not_count() -> None:
    """The watermark of a recreated output topic is 0, as its records are published again."""
    progress = PartitionCheckpoint(
        "v", 0, votes=OutputPosition("old", 9), rejected_votes=OutputPosition("rejected", 7)
    )
    assert partition_watermarks([0, 1], {0: progress}, "new", "rejected") == {
        0: PartitionWatermark(votes=0, rejections=7, decided=9),
        1: PartitionWatermark(0, 0, 0),
    }
