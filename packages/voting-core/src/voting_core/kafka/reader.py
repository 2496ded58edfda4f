"""Reading committed records of topics outside any consumer group."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from voting_core.checkpoint import PublishedCheckpoints, collect_checkpoints
from voting_core.exceptions import BlockedError, UnreachableError
from voting_core.kafka.admin import OffsetRange, offset_ranges, topic_offset_ranges
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
    settings: KafkaSettings,
    admin: AdminClient,
    topic: str,
    *,
    timeout: float = 60.0,
) -> Iterator[Message]:
    """Yield every committed record that a topic holds at the time of the call.

    The end is that of all records, including those of open transactions, because records behind
    an open transaction may be committed already. The reader waits for the open transaction, which
    the transaction timeout bounds, at most `timeout` seconds without a record.

    Raises:
        BlockedError: An open transaction did not end in time.
        UnreachableError: No record arrived in time, before the end was reached.
    """
    ranges = topic_offset_ranges(admin, [topic])
    try:
        yield from read_ranges(settings, ranges, timeout=timeout)
    except UnreachableError as error:
        raise _blocked(admin, topic, ranges, timeout) or error from error


def read_ranges(
    settings: KafkaSettings,
    ranges: Mapping[tuple[str, int], OffsetRange],
    *,
    timeout: float,
    max_records: int | None = None,
) -> Iterator[Message]:
    """Yield the committed records in offset ranges of partitions of several topics.

    Args:
        settings: How to connect.
        ranges: The offset range of each partition, by topic and partition.
        timeout: Seconds without a record after which to give up.
        max_records: Maximum number of records of each partition; the others are not read.

    Raises:
        UnreachableError: No record arrived in time, before the end was reached.
    """
    remaining = {p: offsets for p, offsets in ranges.items() if offsets.end > offsets.start}
    if not remaining:
        return
    assignment = [TopicPartition(*p, offsets.start) for p, offsets in remaining.items()]
    yielded: Counter[tuple[str, int]] = Counter()
    with closing(open_reader(settings, assignment)) as consumer:
        deadline = time.monotonic() + timeout
        while remaining:
            # consume() waits the whole time unless the batch is full, even at the topic's end.
            messages = consumer.consume(10_000, timeout=0.05)
            if any(message.error() is None for message in messages):
                deadline = time.monotonic() + timeout
            elif not messages and time.monotonic() > deadline:
                topics = ", ".join(sorted({topic for topic, _ in remaining}))
                raise UnreachableError(
                    f"no record of {topics} arrived from {settings.bootstrap_servers} for "
                    f"{timeout:.0f} s, before the end of the topic"
                )
            for message in messages:
                offset = position(message)[1]
                partition = topic_partition(message)
                error = message.error()
                if error is None:
                    if partition in remaining and offset < remaining[partition].end:
                        yield message
                        yielded[partition] += 1
                    reached = offset + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    reached = offset
                elif error.retriable():
                    continue
                else:
                    raise KafkaException(error)
                if partition in remaining and reached >= remaining[partition].end:
                    del remaining[partition]
                elif partition in remaining and yielded[partition] == max_records:
                    del remaining[partition]
                    consumer.incremental_unassign([TopicPartition(*partition)])


def _blocked(
    admin: AdminClient, topic: str, ranges: Mapping[tuple[str, int], OffsetRange], timeout: float
) -> BlockedError | None:
    """Return the open transaction that prevented reading to the ends; None without one."""
    stable = offset_ranges(admin, topic, IsolationLevel.READ_COMMITTED)
    for (_, partition), offsets in sorted(ranges.items()):
        if stable[partition].end < offsets.end:
            return BlockedError(
                f"an open transaction holds back {topic} partition {partition} at offset "
                f"{stable[partition].end} for more than {timeout:.0f} s: end the client that "
                "opened it, or abort the transaction"
            )
    return None


def topic_partition(message: Message) -> tuple[str, int]:
    """Return the topic and partition of a consumed message."""
    topic, partition = message.topic(), message.partition()
    assert topic is not None
    assert partition is not None
    return topic, partition


def position(message: Message) -> tuple[int, int]:
    """Return the partition and offset of a consumed message."""
    partition, offset = message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    return partition, offset


def read_checkpoints(
    settings: KafkaSettings,
    admin: AdminClient,
    topic_ids: Mapping[str, str],
    *,
    timeout: float = 60.0,
) -> PublishedCheckpoints:
    """Return the last checkpoint of each partition, of all `voters_topic`s.

    `topic_ids` are the present ids of `voters_topic` and of the output topics, by name.

    Raises:
        UnreachableError: The topic cannot be read to its end.
    """
    records = read_to_end(settings, admin, VOTING_PROGRESS.name, timeout=timeout)
    return collect_checkpoints(
        ((position(record), record.key(), record.value()) for record in records), topic_ids
    )
