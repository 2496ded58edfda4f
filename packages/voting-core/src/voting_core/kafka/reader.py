"""Reading topics outside any consumer group: committed records only."""

import time
from collections.abc import Iterable, Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from voting_core.checkpoint import PartitionCheckpoint, latest_checkpoints
from voting_core.exceptions import UnreachableError
from voting_core.kafka.admin import offset_ranges
from voting_core.kafka.config import client_config
from voting_core.service.settings import KafkaSettings
from voting_core.topics import VOTING_PROGRESS

__all__ = ["open_reader", "position", "read_checkpoints", "read_to_end"]


def open_reader(settings: KafkaSettings, places: Iterable[TopicPartition]) -> Consumer:
    """Return a consumer of exactly these partitions from these offsets, outside any group.

    It yields committed records only, and an end-of-partition event whenever it has caught up.
    """
    consumer = Consumer(
        client_config(
            settings,
            group_id="voting-reader",
            enable_auto_commit=False,
            isolation_level="read_committed",
            enable_partition_eof=True,
            auto_offset_reset="error",
            # How long the broker may wait for something new before it says that there is nothing.
            fetch_wait_max_ms=100,
            queued_max_messages_kbytes=16_384,
        )
    )
    consumer.assign(list(places))
    return consumer


def read_to_end(
    settings: KafkaSettings, admin: AdminClient, topic: str, *, patience: float = 60.0
) -> Iterator[Message]:
    """Yield every committed record that a topic holds at the time of the call.

    The end is that of all records, not of the committed ones only: behind a transaction that is
    still open there may be records of others that were committed long ago, so the reader waits
    for the open one to end, which its time-out bounds.

    Args:
        settings: Where Kafka is.
        admin: A connection to the same.
        topic: Topic to read, all partitions.
        patience: Longest time to wait for anything new, in seconds.

    Raises:
        UnreachableError: Nothing came for that long, though the end is not reached.
    """
    remaining = {
        p: span for p, span in offset_ranges(admin, topic).items() if span.end > span.start
    }
    if not remaining:
        return
    consumer = open_reader(
        settings, [TopicPartition(topic, p, span.start) for p, span in remaining.items()]
    )
    try:
        deadline = time.monotonic() + patience
        while remaining:
            # It waits that long for a full batch, also when the end is reached with a smaller one.
            messages = consumer.consume(10_000, timeout=0.05)
            if messages:
                deadline = time.monotonic() + patience
            elif time.monotonic() > deadline:
                raise UnreachableError(
                    f"nothing more of {topic} came from {settings.bootstrap_servers} for "
                    f"{patience:.0f} s, though its end is not reached"
                )
            for message in messages:
                partition, offset = position(message)
                error = message.error()
                if error is None:
                    if partition in remaining and offset < remaining[partition].end:
                        yield message
                    reached = offset + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    reached = offset
                elif error.retriable():
                    continue
                else:
                    raise KafkaException(error)
                if partition in remaining and reached >= remaining[partition].end:
                    del remaining[partition]
    finally:
        consumer.close()


def position(message: Message) -> tuple[int, int]:
    """Return the partition and offset of a message that a consumer yielded."""
    partition, offset = message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    return partition, offset


def read_checkpoints(
    settings: KafkaSettings, admin: AdminClient, voters_topic_id: str
) -> dict[int, PartitionCheckpoint]:
    """Read from `voting_progress` how far each partition of one `voters_topic` is published.

    Raises:
        SerializationError: A record is no checkpoint.
        UnreachableError: The topic cannot be read to its end.
    """
    records = read_to_end(settings, admin, VOTING_PROGRESS.name)
    return latest_checkpoints((record.value() for record in records), voters_topic_id)
