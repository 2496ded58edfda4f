"""Reading committed records of topics outside any consumer group."""

import time
from collections.abc import Iterable, Iterator
from contextlib import closing

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from voting_core.checkpoint import PartitionCheckpoint, latest_checkpoints
from voting_core.exceptions import UnreachableError
from voting_core.kafka.admin import offset_ranges
from voting_core.kafka.config import client_config
from voting_core.service.settings import KafkaSettings
from voting_core.topics import VOTING_PROGRESS


def open_reader(settings: KafkaSettings, assignment: Iterable[TopicPartition]) -> Consumer:
    """Return a consumer of fixed partitions, from their given offsets, outside any group.

    It returns committed records, and an end-of-partition event whenever it has caught up.
    """
    consumer = Consumer(
        client_config(
            settings,
            group_id="voting-reader",
            enable_auto_commit=False,
            isolation_level="read_committed",
            enable_partition_eof=True,
            auto_offset_reset="error",
            # Bounds the delay of an end-of-partition event.
            fetch_wait_max_ms=100,
            queued_max_messages_kbytes=16_384,
        )
    )
    consumer.assign(list(assignment))
    return consumer


def read_to_end(
    settings: KafkaSettings, admin: AdminClient, topic: str, *, timeout: float = 60.0
) -> Iterator[Message]:
    """Yield every committed record that a topic holds at the time of the call.

    The end is that of all records, including those of open transactions, because records behind
    an open transaction may be committed already. The reader waits for the open transaction, which
    the transaction timeout bounds.

    Raises:
        UnreachableError: No record arrived for `timeout` seconds before the end was reached.
    """
    remaining = {
        p: offsets
        for p, offsets in offset_ranges(admin, topic).items()
        if offsets.end > offsets.start
    }
    if not remaining:
        return
    assignment = [TopicPartition(topic, p, offsets.start) for p, offsets in remaining.items()]
    with closing(open_reader(settings, assignment)) as consumer:
        deadline = time.monotonic() + timeout
        while remaining:
            # consume() waits the whole time unless the batch is full, even at the topic's end.
            messages = consumer.consume(10_000, timeout=0.05)
            if messages:
                deadline = time.monotonic() + timeout
            elif time.monotonic() > deadline:
                raise UnreachableError(
                    f"no record of {topic} arrived from {settings.bootstrap_servers} for "
                    f"{timeout:.0f} s, before the end of the topic"
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


def position(message: Message) -> tuple[int, int]:
    """Return the partition and offset of a consumed message."""
    partition, offset = message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    return partition, offset


def read_checkpoints(
    settings: KafkaSettings, admin: AdminClient, voters_topic_id: str
) -> dict[int, PartitionCheckpoint]:
    """Return the last checkpoint of each partition of one `voters_topic`.

    Raises:
        SerializationError: A record of `voting_progress` is not a checkpoint.
        UnreachableError: The topic cannot be read to its end.
    """
    records = read_to_end(settings, admin, VOTING_PROGRESS.name)
    return latest_checkpoints((record.value() for record in records), voters_topic_id)
