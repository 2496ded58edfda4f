"""A producer that never loses a record without an error."""

from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from voting_core.kafka.config import client_config
from voting_core.service.settings import KafkaSettings

__all__ = ["ReliableProducer"]


class ReliableProducer:
    """A producer that reports a failed delivery at the next call instead of losing it.

    Acknowledged by all in-sync replicas, idempotent, in bounded memory; partitioned by the key as
    by Kafka's own clients.
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
                # That of Kafka's own clients: a key has one partition, whoever sends it.
                partitioner="murmur2_random",
                queue_buffering_max_kbytes=4_096,
            )
        )

    def send(self, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Queue records given as key and value; waits while the queue is full.

        Raises:
            KafkaException: An earlier record could not be delivered.
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
        """Wait until every record is delivered.

        Raises:
            KafkaException: One could not be.
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
