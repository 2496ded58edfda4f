"""Publishing what was decided: one Kafka transaction a batch."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import structlog
from confluent_kafka import KafkaException, Producer, TopicPartition

from voting_consumer.decisions import DecidedRange
from voting_core import topics
from voting_core.checkpoint import PartitionCheckpoint, encode_checkpoint
from voting_core.exceptions import FatalError
from voting_core.kafka import client_config
from voting_core.serialization import encode_rejection, encode_vote
from voting_core.service.settings import KafkaSettings

__all__ = ["Publisher", "TransactionAborted"]

TRANSACTION_SECONDS = 10
"""A consumer that dies in a transaction holds up every reader for at most this long."""

CALL_SECONDS = 60.0

HUNG_SECONDS = 12.0
"""Longer than a transaction lives: a call that has not come back by then never need do so."""

log = structlog.get_logger()


class TransactionAborted(Exception):
    """Nothing of the batch was published; it is to be taken up again from `voting_progress`."""


class Publisher:
    """The transactional producer of one consumer instance."""

    def __init__(self, settings: KafkaSettings, transactional_id: str) -> None:
        """Connect, and end what a former process of the same instance left open.

        Args:
            settings: Where Kafka is.
            transactional_id: Stable for an instance; a second process of the same fences off
                the first.
        """
        self._config = client_config(
            settings,
            transactional_id=transactional_id,
            transaction_timeout_ms=TRANSACTION_SECONDS * 1000,
            compression_type="lz4",
            linger_ms=5,
            # There is never more in the queue than a batch, whose size the operator sets.
            queue_buffering_max_messages=0,
        )
        self._producer = self._connect()

    def publish(
        self,
        batch: Sequence[tuple[DecidedRange, PartitionCheckpoint]],
        offsets: list[TopicPartition],
        group_metadata: Any,
    ) -> None:
        """Publish votes, rejections, progress and the group's offsets, all or nothing.

        Args:
            batch: What was decided, each with the partition's progress *before* it: an output
                topic that holds a decision already does not get it again.
            offsets: The group's offsets behind the batch.
            group_metadata: The consumer's, of the moment when the batch was polled.

        Raises:
            TransactionAborted: It did not happen and may be tried again.
            FatalError: This producer cannot go on, for instance because it was fenced off.
        """
        try:
            self._call(self._producer.begin_transaction)
            for decided, before in batch:
                self._produce(decided, before)
            self._send_offsets(offsets, group_metadata)
            self._call(self._producer.commit_transaction)
        except TimeoutError as error:
            log.warning("the producer hangs; going on with another")
            # Fences the old one off and aborts its transaction.
            self._producer = self._connect()
            raise TransactionAborted from error
        except KafkaException as error:
            log.warning("transaction aborted", error=error.args[0].str())
            try:
                self._call(self._producer.abort_transaction)
            except KafkaException as failed:
                raise FatalError(f"cannot abort a transaction: {failed.args[0].str()}") from failed
            raise TransactionAborted from error

    def _connect(self) -> Producer:
        producer = Producer(self._config)
        self._call(producer.init_transactions)
        return producer

    def _send_offsets(self, offsets: list[TopicPartition], group_metadata: Any) -> None:
        """Send the offsets, in a thread of its own, because librdkafka may never come back.

        It keeps to no time-out there, and waits for ever if the group's coordinator restarts at
        the wrong moment (librdkafka #5456, #5511).

        Raises:
            TimeoutError: It has not come back; this producer is of no use any more.
            KafkaException: The transaction has to be aborted.
            FatalError: The producer has to be given up.
        """
        outcome: Future[None] = Future()
        send = self._producer.send_offsets_to_transaction

        def run() -> None:
            try:
                self._call(send, offsets, group_metadata)
            except BaseException as error:
                outcome.set_exception(error)
            else:
                outcome.set_result(None)

        threading.Thread(target=run, name="send-offsets", daemon=True).start()
        outcome.result(HUNG_SECONDS)

    def _produce(self, decided: DecidedRange, before: PartitionCheckpoint) -> None:
        produce = self._producer.produce
        for stored in decided.votes:
            if stored.vote.coordinates.offset >= before.votes.next_offset:
                produce(topics.VOTES.name, encode_vote(stored), stored.vote.voter_id)
        for rejection in decided.rejections:
            if rejection.coordinates.offset >= before.rejected_votes.next_offset:
                produce(topics.REJECTED_VOTES.name, encode_rejection(rejection), rejection.voter_id)
        after = before.advanced_to(decided.records.end)
        produce(topics.VOTING_PROGRESS.name, encode_checkpoint(after), after.key)
        self._producer.poll(0)

    def _call(self, function: Callable[..., Any], *args: Any) -> None:
        """Call a transaction function until it ends one way or the other.

        Raises:
            KafkaException: The transaction has to be aborted.
            FatalError: The producer has to be given up.
        """
        deadline = time.monotonic() + CALL_SECONDS
        while True:
            try:
                function(*args)
                return
            except KafkaException as error:
                reason = error.args[0]
                if reason.txn_requires_abort():
                    raise
                if not reason.retriable() or time.monotonic() > deadline:
                    raise FatalError(f"Kafka transactions stopped: {reason.str()}") from error
                log.warning("retrying", call=function.__name__, error=reason.str())
