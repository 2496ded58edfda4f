"""Sending ballots to the `voters_topic` of the election, and to no other."""

from collections.abc import Callable, Iterable

from confluent_kafka.admin import AdminClient

from voting_core.election import Election
from voting_core.kafka import ReliableProducer, is_unavailable
from voting_core.service.identity import check_topic_ids
from voting_core.service.outage import OutageLog, retry_until_available
from voting_core.service.settings import KafkaSettings
from voting_core.topics import VOTERS


class CheckedProducer:
    """A reliable producer that checks that its topic was not recreated.

    Before each batch, so that nothing more is sent to another topic, and after the last record is
    acknowledged: if the topic still has its id then, all records belong to it.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        admin: AdminClient,
        election: Election,
        should_stop: Callable[[], bool],
    ) -> None:
        self._producer = ReliableProducer(settings, should_stop=should_stop)
        self._admin = admin
        self._election = election
        self._should_stop = should_stop
        self._outage = OutageLog(f"Kafka at {settings.bootstrap_servers}")

    def send(self, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Queue records given as key and value; blocks while the queue is full.

        Raises:
            TopicRecreatedError: The topic was recreated.
            KafkaException: The delivery of an earlier record failed, or a stop was requested during
                an outage.
        """
        self._check_topic()
        self._producer.send(topic, records)

    def flush(self) -> None:
        """Wait for the delivery of every queued record to the topic of the election.

        Raises:
            TopicRecreatedError: The topic was recreated; records may be lost with the old one.
            KafkaException: A delivery failed, or a stop was requested during an outage.
            UnreachableError: A stop was requested during an outage.
        """
        self._producer.flush()
        self._check_topic()

    def _check_topic(self) -> None:
        retry_until_available(
            lambda: check_topic_ids(self._admin, self._election, [VOTERS]),
            retry_on=is_unavailable,
            outage=self._outage,
            should_stop=self._should_stop,
        )
