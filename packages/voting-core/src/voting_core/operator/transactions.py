"""Open Kafka transactions, which hold back every `read_committed` reader of their partitions.

librdkafka has no such request, so kafka-python makes it, and only if a partition's last stable
offset differs from its end.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs
from confluent_kafka import IsolationLevel
from confluent_kafka.admin import AdminClient

from voting_core.kafka import OffsetRange, topic_offset_ranges
from voting_core.service.settings import KafkaSettings
from voting_core.topics import ALL_TOPICS

# kafka-python is imported where it is used: that takes a third of the time of `voting --help`.
if TYPE_CHECKING:
    from kafka import KafkaAdminClient

REQUEST_SECONDS = 3.0


@attrs.frozen(kw_only=True)
class OpenTransaction:
    """A transaction that is open on a partition.

    Attributes:
        offset: Where it holds back readers: its first record.
        producer_id: Kafka's number of the producer; None if Kafka does not disclose it.
        transactional_id: Name of the producer; None if its coordinator does not know it, which
            happens to a hanging transaction, or if Kafka does not disclose it.
        seconds: Its age; None if Kafka does not disclose it.
    """

    topic: str
    partition: int
    offset: int
    producer_id: int | None = None
    transactional_id: str | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        producer = (
            "an unknown producer" if self.producer_id is None else f"producer {self.producer_id}"
        )
        named = f" ({self.transactional_id})" if self.transactional_id else ""
        age = "" if self.seconds is None else f" for {self.seconds:,.0f} s"
        return (
            f"{self.topic} partition {self.partition} at offset {self.offset} by {producer}{named}"
            f"{age}"
        )


@contextmanager
def connect_broker_tools(settings: KafkaSettings) -> "Iterator[KafkaAdminClient]":
    """Connect kafka-python's admin client.

    Raises:
        KafkaError: The brokers are unreachable.
    """
    from kafka import KafkaAdminClient

    client = KafkaAdminClient(
        bootstrap_servers=settings.bootstrap_servers.split(","),
        request_timeout_ms=int(REQUEST_SECONDS * 1000),
        bootstrap_timeout_ms=int(REQUEST_SECONDS * 1000),
    )
    try:
        yield client
    finally:
        client.close()


def held_back_partitions(admin: AdminClient) -> dict[tuple[str, int], int]:
    """Return the partitions of our topics whose last stable offset is before their end, with it.

    Raises:
        TopicError: A topic is missing.
        KafkaException: The brokers are unreachable.
    """
    names = [topic.name for topic in ALL_TOPICS]
    stable = topic_offset_ranges(admin, names, IsolationLevel.READ_COMMITTED)
    ends = topic_offset_ranges(admin, names)
    return find_held_back(stable, ends)


def find_held_back(
    stable: Mapping[tuple[str, int], OffsetRange], ends: Mapping[tuple[str, int], OffsetRange]
) -> dict[tuple[str, int], int]:
    """Return, in order, the partitions whose last stable offset is before their end, with it."""
    return {each: stable[each].end for each in sorted(ends) if stable[each].end < ends[each].end}


def find_open_transactions(
    client: "KafkaAdminClient", partitions: Iterable[tuple[str, int]]
) -> list[OpenTransaction]:
    """Return the transactions that are open on partitions, ordered by topic, partition and offset.

    Raises:
        KafkaError: The request failed.
    """
    from kafka import TopicPartition

    keys = [TopicPartition(*partition) for partition in partitions]
    open_producers = [
        (key, producer)
        for key, state in client.describe_producers(keys).items()
        for producer in state.active_producers
        if producer.current_transaction_start_offset >= 0
    ]
    if not open_producers:
        return []
    names = _transactional_ids(client, {producer.producer_id for _, producer in open_producers})
    starts = _start_times(client, names.values())
    now = time.time()
    found = []
    for key, producer in open_producers:
        name = names.get(producer.producer_id)
        started = starts.get(name or "", producer.last_timestamp)
        found.append(
            OpenTransaction(
                topic=key.topic,
                partition=key.partition,
                offset=producer.current_transaction_start_offset,
                producer_id=producer.producer_id,
                transactional_id=name,
                seconds=max(0.0, now - started / 1000) if started > 0 else None,
            )
        )
    return sorted(found, key=lambda each: (each.topic, each.partition, each.offset))


def describe_open_transactions(
    settings: KafkaSettings, admin: AdminClient
) -> list[OpenTransaction]:
    """Return the open transactions on our topics; without details if Kafka refuses them.

    Raises:
        TopicError: A topic is missing.
        KafkaException: The brokers are unreachable.
    """
    from kafka.errors import KafkaError

    partitions = held_back_partitions(admin)
    if not partitions:
        return []
    try:
        with connect_broker_tools(settings) as client:
            return find_open_transactions(client, partitions)
    except KafkaError:
        return undisclosed_transactions(partitions)


def undisclosed_transactions(
    held_back: Mapping[tuple[str, int], int],
) -> list[OpenTransaction]:
    """Return the open transactions as far as they show without Kafka's description of them.

    `held_back` are the partitions that they hold back, with the last stable offset of each.
    """
    return [
        OpenTransaction(topic=topic, partition=number, offset=offset)
        for (topic, number), offset in held_back.items()
    ]


def _transactional_ids(client: "KafkaAdminClient", producer_ids: set[int]) -> dict[int, str]:
    listed = client.list_transactions(producer_id_filters=sorted(producer_ids))
    return {
        each.producer_id: each.transactional_id for broker in listed.values() for each in broker
    }


def _start_times(client: "KafkaAdminClient", names: Iterable[str]) -> dict[str, int]:
    """Return when transactions began, in milliseconds since 1970, by transactional id."""
    described: dict[str, Any] = client.describe_transactions(list(names))
    return {name: each.transaction_start_time_ms for name, each in described.items()}
