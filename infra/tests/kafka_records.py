"""Records in and out of a topic, with plain clients."""

from confluent_kafka import Consumer, Producer, TopicPartition

from voting_infra import Stack


def produce(stack: Stack, topic: str, value: bytes) -> None:
    """Produce a record and wait for its acknowledgement."""
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers, "acks": "all"})
    producer.produce(topic, value)
    assert producer.flush(60) == 0


def read(stack: Stack, topic: str, count: int) -> list[bytes | None]:
    """Read that many records from the beginning of a topic."""
    consumer = Consumer({"bootstrap.servers": stack.bootstrap_servers, "group.id": "test"})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        return [message.value() for message in consumer.consume(count, timeout=60)]
    finally:
        consumer.close()
