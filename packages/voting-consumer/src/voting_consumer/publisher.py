"""Publishing decisions: one Kafka transaction per batch."""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from voting_consumer.decisions import DecidedRange
from voting_consumer.topic_guard import TopicGuard
from voting_core import topics
from voting_core.checkpoint import PartitionCheckpoint, encode_checkpoint
from voting_core.exceptions import FatalError, TopicRecreatedError
from voting_core.kafka import client_config, is_unavailable
from voting_core.serialization import encode_rejection, encode_vote
from voting_core.service.background import run_in_background
from voting_core.service.outage import OutageLog
from voting_core.service.settings import KafkaSettings
from voting_core.topics import TOPIC_ID_HEADER

TRANSACTION_SECONDS = 10
"""Longest time for which a consumer that dies in a transaction blocks `read_committed` readers."""

ATTEMPT_SECONDS = 2.0
"""After this time a call returns and is repeated, so that a request to stop is noticed."""

PAUSE_SECONDS = 0.2

HUNG_SECONDS = 12.0
"""Longer than the transaction timeout: by then the call can no longer succeed."""

Headers = list[tuple[str, str | bytes | None]]

log = structlog.get_logger()

_FENCED = frozenset(
    {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}
)


class TransactionAborted(Exception):
    """Nothing of the batch was published; the consumer resumes at its checkpoints."""


class ProducerFenced(TransactionAborted):
    """Another producer has taken the transactional id, or Kafka has ended a transaction.

    After an outage that is longer than the transaction timeout, Kafka fences off a producer just as
    if another process had taken its id.
    """


class Publisher:
    """The transactional producer of one consumer instance."""

    def __init__(
        self,
        settings: KafkaSettings,
        transactional_id: str,
        guard: TopicGuard,
        should_stop: Callable[[], bool],
    ) -> None:
        """Connect, and abort the transaction that a former process of this instance left open.

        A second process with the same transactional id fences off the first.

        Raises:
            FatalError: Kafka refuses the transactional id.
            TransactionAborted: A stop was requested while Kafka was unavailable.
        """
        self._guard = guard
        self._should_stop = should_stop
        self._outage = OutageLog(f"Kafka at {settings.bootstrap_servers}")
        self._config = client_config(
            settings,
            transactional_id=transactional_id,
            transaction_timeout_ms=TRANSACTION_SECONDS * 1000,
            compression_type="lz4",
            linger_ms=5,
            # Without callbacks, and `flush` waits for all: reports of success would only cost time.
            delivery_report_only_error=True,
            # The queue holds one batch at most, whose size is a setting.
            queue_buffering_max_messages=0,
        )
        self._producer = self._connect()

    def publish(
        self,
        decisions: Sequence[tuple[DecidedRange, PartitionCheckpoint]],
        next_offsets: list[TopicPartition],
        group_metadata: Any,
    ) -> None:
        """Publish votes, rejections, checkpoints and the group's offsets, all or nothing.

        Args:
            decisions: The decisions on each partition, with the partition's checkpoint *before*
                them.
            next_offsets: The group's offsets after the batch.
            group_metadata: The consumer's, of the moment when the batch was polled.

        Raises:
            TransactionAborted: Nothing was published; the batch may be published again.
            ProducerFenced: The same, and only after `reconnect`.
            TopicRecreatedError: An output topic was recreated; nothing was published.
            FatalError: This producer cannot continue.
        """
        try:
            self._call(self._producer.begin_transaction)
            for decided, before in decisions:
                self.produce(decided, before)
            self._call(self._flush)
            self._guard.check_outputs()
            self._send_offsets(next_offsets, group_metadata)
            self._call(self._producer.commit_transaction, ATTEMPT_SECONDS)
        except TimeoutError as error:
            log.warning("the producer hangs; replacing it")
            self.reconnect()
            raise TransactionAborted("the producer hung") from error
        except TopicRecreatedError:
            self._abort()
            raise
        except FatalError:
            # A recreated topic ends a producer in several ways, none of which names it.
            with contextlib.suppress(KafkaException):
                self._guard.check_outputs()
            raise
        except KafkaException as error:
            reason = error.args[0].str()
            log.warning("transaction aborted", error=reason)
            self._abort()
            raise TransactionAborted(reason) from error

    def produce(self, decided: DecidedRange, before: PartitionCheckpoint) -> None:
        """Produce the decisions on a partition and its new checkpoint, in the open transaction.

        An output topic that already holds a decision, according to the checkpoint, does not get it
        again.
        """
        produce = self._producer.produce
        votes_headers: Headers = [(TOPIC_ID_HEADER, before.votes.topic_id)]
        rejected_headers: Headers = [(TOPIC_ID_HEADER, before.rejected_votes.topic_id)]
        for stored in decided.votes:
            if stored.vote.coordinates.offset >= before.votes.next_offset:
                produce(
                    topics.VOTES.name,
                    encode_vote(stored),
                    stored.vote.voter_id,
                    headers=votes_headers,
                )
        for rejection in decided.rejections:
            if rejection.coordinates.offset >= before.rejected_votes.next_offset:
                produce(
                    topics.REJECTED_VOTES.name,
                    encode_rejection(rejection),
                    rejection.voter_id,
                    headers=rejected_headers,
                )
        after = before.advanced_to(decided.records.end)
        produce(topics.VOTING_PROGRESS.name, encode_checkpoint(after), after.key)
        self._call(self._producer.poll, 0)

    def reconnect(self) -> None:
        """Replace the producer: the new one fences off the old one and ends its transaction.

        Raises:
            FatalError: Kafka refuses the transactional id.
            TransactionAborted: A stop was requested while Kafka was unavailable.
        """
        self._producer = self._connect()

    def _connect(self) -> Producer:
        producer = Producer(self._config)
        try:
            self._call(producer.init_transactions, ATTEMPT_SECONDS)
        except KafkaException as error:
            raise FatalError(f"Kafka transactions: {error.args[0].str()}") from error
        return producer

    def _flush(self) -> None:
        """Wait until every record is acknowledged, or has failed.

        Raises:
            KafkaException: Some are still in flight; the call may be repeated.
        """
        if self._producer.flush(ATTEMPT_SECONDS):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, retriable=True))

    def _abort(self) -> None:
        try:
            self._call(self._producer.abort_transaction, ATTEMPT_SECONDS)
        except KafkaException as error:
            raise FatalError(f"cannot abort a transaction: {error.args[0].str()}") from error

    def _send_offsets(self, next_offsets: list[TopicPartition], group_metadata: Any) -> None:
        """Send the offsets from a thread of its own, because librdkafka may never return.

        It ignores its timeout if the group's coordinator restarts at the wrong moment (librdkafka
        #5456, #5511).

        Raises:
            TimeoutError: The call has not returned; this producer can no longer be used.
            KafkaException: The transaction must be aborted.
            FatalError: This producer cannot continue.
        """
        send = self._producer.send_offsets_to_transaction
        sending = run_in_background(
            lambda: self._call(send, next_offsets, group_metadata, ATTEMPT_SECONDS),
            name="send-offsets",
        )
        sending.result(HUNG_SECONDS)

    def _call(self, function: Callable[..., Any], *args: Any) -> None:
        """Call a transaction function, again after a retriable error.

        Raises:
            KafkaException: The transaction must be aborted.
            ProducerFenced: This producer must be replaced.
            TransactionAborted: A stop was requested while Kafka was unavailable.
            FatalError: This producer cannot continue.
        """
        while True:
            try:
                function(*args)
            except (KafkaException, SystemError) as raised:
                error = _kafka_error(raised)
                reason = error.args[0]
                if reason.txn_requires_abort():
                    raise error from raised
                if reason.code() in _FENCED:
                    raise ProducerFenced(reason.str()) from error
                if not (reason.retriable() or is_unavailable(error)) or reason.fatal():
                    raise FatalError(f"Kafka transactions stopped: {reason.str()}") from error
                self._outage.failed(error)
                if self._should_stop():
                    raise TransactionAborted(reason.str()) from error
                time.sleep(PAUSE_SECONDS)
            else:
                self._outage.recovered()
                return


def _kafka_error(raised: KafkaException | SystemError) -> KafkaException:
    """Return the error of Kafka that was raised, perhaps within a callback of librdkafka.

    A fatal error is raised there, and arrives as the cause of a SystemError.
    """
    if isinstance(raised, KafkaException):
        return raised
    if isinstance(raised.__cause__, KafkaException):
        return raised.__cause__
    raise raised
