"""A producer that reports every record that it cannot deliver."""

import time
from collections.abc import Callable, Iterable

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from voting_core.exceptions import UnreachableError
from voting_core.kafka.config import client_config
from voting_core.service.outage import OutageLog
from voting_core.service.settings import KafkaSettings

STALL_SECONDS = 5.0
"""Without an acknowledgement for so long, while records wait, Kafka is unavailable."""


class ReliableProducer:
    """An idempotent producer that raises a failed delivery at the next call.

    Records are acknowledged by all in-sync replicas, buffered in bounded memory, and partitioned
    by key as in Kafka's Java client. An outage is waited out: no broker is reachable, or none
    acknowledges a record, for instance because too few replicas are in sync.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        timeout: float | None = None,
    ) -> None:
        """Prepare to connect.

        Args:
            settings: The brokers.
            should_stop: Whether an outage is no longer waited out.
            timeout: Seconds after which a record that is not acknowledged has failed; None for
                never.
        """
        self._failure: KafkaError | None = None
        self._queued = 0
        self._delivered = 0
        self._progress_at = time.monotonic()
        self._should_stop = should_stop
        self._address = settings.bootstrap_servers
        self._outage = OutageLog(f"Kafka at {settings.bootstrap_servers}")
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
                # 0 is without limit.
                message_timeout_ms=int((timeout or 0) * 1000),
                # A report of each success would cost more than sending.
                delivery_report_only_error=True,
            )
            | {"error_cb": self._failed}
        )

    def send(self, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Queue records given as key and value; blocks while the queue is full.

        Raises:
            KafkaException: The delivery of an earlier record failed.
            UnreachableError: A stop was requested during an outage.
        """
        self._poll(0)
        for key, value in records:
            while True:
                try:
                    self._producer.produce(topic, value, key, on_delivery=self._undelivered)
                    break
                except BufferError:
                    self._poll(0.1)
                    self._check_stop()
            self._queued += 1
        self._poll(0)

    def flush(self) -> None:
        """Wait for the delivery of every queued record.

        Raises:
            KafkaException: A delivery failed.
            UnreachableError: A stop was requested during an outage.
        """
        while self._producer.flush(1.0):
            self._raise_failure()
            self._observe_deliveries()
            self._check_stop()
        self._raise_failure()
        self._observe_deliveries()

    def _poll(self, timeout: float) -> None:
        """Serve callbacks, and notice deliveries."""
        self._producer.poll(timeout)
        self._raise_failure()
        self._observe_deliveries()

    def _observe_deliveries(self) -> None:
        """Notice an outage, or its end, by the number of records that were delivered.

        Only failures are reported, so the sign of a success is a shorter queue. librdkafka does not
        report what it retries, such as a record that too few replicas would have.
        """
        waiting = len(self._producer)
        delivered = self._queued - waiting
        if delivered > self._delivered:
            self._delivered = delivered
            self._outage.recovered()
        elif waiting:
            stalled = time.monotonic() - self._progress_at
            if stalled >= STALL_SECONDS:
                self._outage.failed(
                    UnreachableError(
                        f"no acknowledgement for {stalled:.0f} s: {waiting} records wait"
                    )
                )
            return
        self._progress_at = time.monotonic()

    def _undelivered(self, error: KafkaError | None, _: Message) -> None:
        self._failure = error

    def _failed(self, error: KafkaError) -> None:
        # librdkafka reports here what it retries; a record that it gives up on is reported above.
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._outage.failed(KafkaException(error))
            # What was delivered before is no sign of the end.
            self._delivered = self._queued - len(self._producer)

    def _check_stop(self) -> None:
        if self._outage.is_out and self._should_stop():
            raise UnreachableError(
                f"Kafka at {self._address} is unreachable, and the last records are not delivered; "
                "the same command sends them again"
            )

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise KafkaException(self._failure)
