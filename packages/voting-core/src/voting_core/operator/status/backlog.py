"""The records that wait for a stage, counted by reading them.

Offsets cannot be subtracted: transaction markers and aborted records occupy offsets too.
"""

from collections.abc import Callable, Mapping

import attrs
from confluent_kafka import Message

from voting_core.kafka import OffsetRange, read_ranges, topic_partition
from voting_core.service.settings import KafkaSettings

MAX_RECORDS = 20_000
"""Records of each partition that are read, so that a large backlog costs little to measure."""

READ_SECONDS = 3.0


@attrs.frozen
class PartitionBacklog:
    """The records of one partition that wait.

    Attributes:
        records: Their number, or at least that many.
        oldest: Timestamp of the first one, in seconds since 1970; None without one.
    """

    partition: int
    records: int
    oldest: float | None


@attrs.frozen
class Backlog:
    """The records of a topic that wait for a stage.

    Attributes:
        partitions: Those with waiting records, in order.
        is_complete: Whether all records were counted; otherwise there are at least as many.
    """

    partitions: tuple[PartitionBacklog, ...] = ()
    is_complete: bool = True

    @property
    def records(self) -> int:
        """The number of records that wait, or at least that many."""
        return sum(each.records for each in self.partitions)

    @property
    def oldest(self) -> float | None:
        """The timestamp of the oldest one, in seconds since 1970."""
        times = [each.oldest for each in self.partitions if each.oldest is not None]
        return min(times, default=None)

    def __str__(self) -> str:
        return f"{self.records:,}" if self.is_complete else f"at least {self.records:,}"


def count_backlogs(
    settings: KafkaSettings,
    ranges: Mapping[tuple[str, int], OffsetRange],
    is_waiting: Callable[[Message], bool],
) -> dict[str, Backlog]:
    """Count the committed records in offset ranges, by topic.

    Args:
        settings: How to connect.
        ranges: The offsets to read, by topic and partition; up to the last stable offset.
        is_waiting: Whether to count a record.

    Raises:
        UnreachableError: The records could not be read.
    """
    read = dict.fromkeys(ranges, 0)
    records = dict.fromkeys(ranges, 0)
    oldest: dict[tuple[str, int], float] = {}
    for message in read_ranges(settings, ranges, timeout=READ_SECONDS, max_records=MAX_RECORDS):
        partition = topic_partition(message)
        read[partition] += 1
        if is_waiting(message):
            records[partition] += 1
            oldest.setdefault(partition, message.timestamp()[1] / 1000)
    return {
        topic: Backlog(
            tuple(
                PartitionBacklog(partition, number, oldest[topic, partition])
                for (name, partition), number in sorted(records.items())
                if name == topic and number
            ),
            is_complete=all(
                number < MAX_RECORDS for (name, _), number in read.items() if name == topic
            ),
        )
        for topic in {topic for topic, _ in ranges}
    }
