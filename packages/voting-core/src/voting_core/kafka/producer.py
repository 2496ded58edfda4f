"""A producer that reports every record that it cannot deliver."""

from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from voting_core.kafka.config import client_config
from voting_core.service.settings import KafkaSettings


class ReliableProducer:
    """An idempotent producer that raises a failed delivery at the next call.

    Records are acknowledged by all in-sync replicas, buffered in bounded memory, and partitioned
    by key as in Kafka's Java client.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._failure: KafkaError | None = None
        self._producer = Producer(
            client_config(
                settings,
                enable_idempotence=True,
                acks="all",
                compression_type="lz4",
                linger_ms=20,
                # The default of Kafka's Java client: every sender maps a key to one partition.
                partitioner="murmur2_random",
                queue_buffering_max_kbytes=4_096,
            )
        )

    def send(self, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Queue records given as key and value; blocks while the queue is full.

        Raises:
            KafkaException: The delivery of an earlier record failed.
        """
        for key, value in records:
            while True:
                try:
                    self._producer.produce(topic, value, key, on_delivery=self._delivered)
                    break
                except BufferError:
                    self._producer.poll(0.1)
                    self._raise_failure()
        self._producer.poll(0)
        self._raise_failure()

    def flush(self) -> None:
        """Wait for the delivery of every queued record.

        Raises:
            KafkaException: A delivery failed.
        """
        while self._producer.flush(1.0):
            self._raise_failure()
        self._raise_failure()

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failure = error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise KafkaException(self._failure)
