"""Publishing decisions: one Kafka transaction per batch."""

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

TRANSACTION_SECONDS = 10
"""Longest time for which a consumer that dies in a transaction blocks `read_committed` readers."""

CALL_SECONDS = 60.0

HUNG_SECONDS = 12.0
"""Longer than the transaction timeout: by then the call can no longer succeed."""

log = structlog.get_logger()


class TransactionAborted(Exception):
    """Nothing of the batch was published; the consumer resumes at its checkpoints."""


class Publisher:
    """The transactional producer of one consumer instance."""

    def __init__(self, settings: KafkaSettings, transactional_id: str) -> None:
        """Connect, and abort the transaction that a former process of this instance left open.

        A second process with the same transactional id fences off the first.
        """
        self._config = client_config(
            settings,
            transactional_id=transactional_id,
            transaction_timeout_ms=TRANSACTION_SECONDS * 1000,
            compression_type="lz4",
            linger_ms=5,
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
            FatalError: This producer cannot continue, for instance because it was fenced off.
        """
        try:
            self._call(self._producer.begin_transaction)
            for decided, before in decisions:
                self.produce(decided, before)
            self._send_offsets(next_offsets, group_metadata)
            self._call(self._producer.commit_transaction)
        except TimeoutError as error:
            log.warning("the producer hangs; replacing it")
            # Fences off the old one and aborts its transaction.
            self._producer = self._connect()
            raise TransactionAborted from error
        except KafkaException as error:
            log.warning("transaction aborted", error=error.args[0].str())
            try:
                self._call(self._producer.abort_transaction)
            except KafkaException as failed:
                raise FatalError(f"cannot abort a transaction: {failed.args[0].str()}") from failed
            raise TransactionAborted from error

    def produce(self, decided: DecidedRange, before: PartitionCheckpoint) -> None:
        """Produce the decisions on a partition and its new checkpoint, in the open transaction.

        An output topic that already holds a decision, according to the checkpoint, does not get it
        again.
        """
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

    def _connect(self) -> Producer:
        producer = Producer(self._config)
        self._call(producer.init_transactions)
        return producer

    def _send_offsets(self, next_offsets: list[TopicPartition], group_metadata: Any) -> None:
        """Send the offsets from a thread of its own, because librdkafka may never return.

        It ignores its timeout if the group's coordinator restarts at the wrong moment (librdkafka
        #5456, #5511).

        Raises:
            TimeoutError: The call has not returned; this producer can no longer be used.
            KafkaException: The transaction must be aborted.
            FatalError: This producer cannot continue.
        """
        outcome: Future[None] = Future()
        send = self._producer.send_offsets_to_transaction

        def run() -> None:
            try:
                self._call(send, next_offsets, group_metadata)
            except BaseException as error:
                outcome.set_exception(error)
            else:
                outcome.set_result(None)

        threading.Thread(target=run, name="send-offsets", daemon=True).start()
        outcome.result(HUNG_SECONDS)

    def _call(self, function: Callable[..., Any], *args: Any) -> None:
        """Call a transaction function, again after a retriable error.

        Raises:
            KafkaException: The transaction must be aborted.
            FatalError: This producer cannot continue.
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
