"""Reading topics plainly: every committed record, from the beginning to the end."""

from collections.abc import Iterable, Iterator

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

__all__ = ["Position", "Record", "position_of", "read_messages", "read_topic"]

TIMEOUT_SECONDS = 60.0

Record = tuple[bytes | None, bytes]
"""Key and value."""

Position = tuple[int, int]
"""Partition and offset."""


def read_messages(bootstrap_servers: str, topics: Iterable[str]) -> Iterator[Message]:
    """Yield every committed record of some topics; those of one partition in their order.

    Raises:
        KafkaException: A topic cannot be read, or no record and no end comes for a minute.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "checker",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 10,
        }
    )
    try:
        unread = {
            (topic, partition) for topic in topics for partition in _partitions(consumer, topic)
        }
        consumer.assign([TopicPartition(*each, OFFSET_BEGINNING) for each in unread])
        while unread:
            message = consumer.poll(TIMEOUT_SECONDS)
            if message is None:
                reason = f"the end of {sorted(unread)} is not reached"
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, reason))
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                unread.discard((message.topic(), message.partition()))
            else:
                raise KafkaException(error)
    finally:
        consumer.close()


def read_topic(bootstrap_servers: str, topic: str) -> list[Record]:
    """Return every committed record of a topic.

    Raises:
        KafkaException: The topic cannot be read.
    """
    return [
        (message.key(), message.value() or b"")
        for message in read_messages(bootstrap_servers, [topic])
    ]


def position_of(message: Message) -> Position:
    """Return where a message is in its topic."""
    partition, offset = message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    return partition, offset


def _partitions(consumer: Consumer, topic: str) -> Iterable[int]:
    metadata = consumer.list_topics(topic, timeout=TIMEOUT_SECONDS).topics[topic]
    if metadata.error is not None:
        raise KafkaException(metadata.error)
    return list(metadata.partitions)
