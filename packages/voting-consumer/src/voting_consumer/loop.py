"""The exactly-once loop.

Kafka transactions do not extend to PostgreSQL. So each batch of records takes four steps:

1. `poll` reads a batch and the group metadata of that moment. The input topic must still be the one
   that was assigned.
2. `Decider.decide` makes the decisions final in one database transaction. A record that already
   has a decision keeps it.
3. `Publisher.publish` publishes the stored decisions in one Kafka transaction, together with
   the checkpoint of each partition. The output topics must still be those of the election.
4. `resume`, after an assignment or an aborted transaction, starts each partition at its
   checkpoint.

Steps 2 and 3 run in threads, so that one batch is polled while the one before is decided and the
one before that is published. A crash at any point, or an aborted transaction, repeats the steps
that follow the last checkpoint: they find the decisions in the database and publish them.
"""

import threading
import time
from collections.abc import Callable, Collection
from typing import TypeVar

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from voting_consumer.batch import Batch, PartitionReader, generation_of
from voting_consumer.decisions import Decider
from voting_consumer.idle import IdleTimer
from voting_consumer.in_flight import MAX_BATCHES, BatchesInFlight, Checkpoints
from voting_consumer.publisher import ProducerFenced, Publisher, TransactionAborted
from voting_consumer.resume import await_stable_offsets, resume_points
from voting_consumer.settings import ConsumerSettings
from voting_consumer.topic_guard import TopicGuard
from voting_core import topics
from voting_core.election import Election
from voting_core.exceptions import FatalError, UnreachableError, one_line
from voting_core.kafka import (
    GroupMember,
    client_config,
    group_members,
    is_unavailable,
    read_checkpoints,
)
from voting_core.service.health import Heartbeat
from voting_core.service.outage import OutageLog, retry_until_available
from voting_core.service.progress_bar import LogProgress
from voting_core.service.topic_watch import TopicWatch

READ_SECONDS = 5.0
"""How long one attempt to read the checkpoints may wait, so that a stop is noticed."""

TWIN_MARGIN_SECONDS = 2.0
"""By how much Kafka may be late in removing a member whose session has timed out."""

TWIN_PAUSE_SECONDS = 0.5

T = TypeVar("T")

log = structlog.get_logger()


class BallotConsumer:
    """One member of the consumer group."""

    def __init__(
        self,
        settings: ConsumerSettings,
        admin: AdminClient,
        election: Election,
        guard: TopicGuard,
        decider: Decider,
        publisher: Publisher,
        should_stop: Callable[[], bool],
        abandoned: threading.Event | None = None,
    ) -> None:
        """Prepare to join the group.

        Args:
            settings: Those of the consumer.
            admin: For the state of topics and of the group.
            election: Whose ballots are decided.
            guard: Notices recreated topics.
            decider: Makes the decisions final.
            publisher: Publishes them.
            should_stop: Whether a stop was requested.
            abandoned: Is set when an error ends the loop. The decider and the publisher should then
                give up in an outage.
        """
        self._settings = settings
        self._admin = admin
        self._topic_ids = election.topic_ids
        self._guard = guard
        self._abandoned = abandoned or threading.Event()
        self._in_flight = BatchesInFlight(decider, publisher, self._abandoned)
        self._publisher = publisher
        self._should_stop = should_stop
        self._heartbeat = Heartbeat(settings.heartbeat)
        self._outage = OutageLog(f"Kafka at {settings.kafka.bootstrap_servers}")
        self._checkpoints: Checkpoints = {}
        self._rebalances = 0
        self._decided = 0
        self._callback_error: Exception | None = None
        self._progress = LogProgress("decided", "records", total=None)
        self._watch = TopicWatch(guard.check_all, self._outage)
        self._consumer = Consumer(
            client_config(
                settings.kafka,
                group_id=settings.group,
                client_id=settings.transactional_id,
                enable_auto_commit=False,
                # Makes a request for the group's offsets wait for open transactions that write
                # them.
                isolation_level="read_committed",
                auto_offset_reset="error",
                enable_partition_eof=True,
                partition_assignment_strategy="range",
                session_timeout_ms=int(settings.session_timeout * 1000),
                heartbeat_interval_ms=int(settings.session_timeout * 1000 / 5),
                queued_max_messages_kbytes=16_384,
            )
        )
        self._reader = PartitionReader(self._consumer, settings.batch_size, self._outage)

    def close(self) -> None:
        """Leave the group, after the end of the batches in flight."""
        self._release()
        self._consumer.close()
        if self._callback_error is not None:
            log.error("failed while closing", error=one_line(self._callback_error))

    def run(self) -> None:
        """Decide on ballots until asked to stop, or until none has arrived for `until_idle`.

        Raises:
            FatalError: Continuing could produce a wrong count.
            ElectionError: The database is that of another election, or an older backup.
        """
        self._consumer.subscribe(
            [topics.VOTERS.name],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )
        try:
            self._run()
        except (KafkaException, UnreachableError, TransactionAborted) as error:
            # A stop in an outage interrupts whatever waits for its end.
            is_outage = isinstance(error, TransactionAborted) or is_unavailable(error)
            if not (is_outage and self._should_stop()):
                self._abandoned.set()
                raise
            log.info("stopped in an outage", error=one_line(error))
        except BaseException:
            self._abandoned.set()
            raise

    def _run(self) -> None:
        idle = IdleTimer(self._settings.until_idle)
        while not self._should_stop() and not idle.expired:
            batch = self.poll()
            if batch is not None:
                self.decide_and_publish(batch)
            elif self._in_flight.first_is_done:
                self.finish(to_batches=len(self._in_flight) - 1)
            elif self._watch.check_if_due() and self._is_caught_up:
                self._heartbeat.beat()
            if batch is not None or self._outage.is_out or not self._is_caught_up:
                idle.reset()
        self.finish()
        if idle.expired:
            log.info("idle", seconds=idle.timeout)

    @property
    def _is_caught_up(self) -> bool:
        """Whether every record that has arrived is published."""
        return self._reader.has_caught_up and not self._in_flight

    def poll(self) -> Batch | None:
        """Return the next records; None if there are none, or if they may belong to another member.

        Raises:
            FatalError: The topic cannot be read.
            TopicRecreatedError: The topic was recreated; the records may belong to the new one.
        """
        rebalances = self._rebalances
        try:
            records = self._reader.read()
        except FatalError:
            self._raise_callback_error()
            # A recreated topic has other offsets, which is not the cause to report.
            self._wait_out(self._guard.check_input)
            raise
        self._raise_callback_error()
        group_metadata = self._consumer.consumer_group_metadata()
        if not records:
            return None
        self._wait_out(self._guard.check_input)
        # consume() may return records of partitions that were revoked while it ran.
        if rebalances != self._rebalances or generation_of(group_metadata) < 0:
            log.info("batch dropped: the assignment has changed", records=len(records))
            if self._checkpoints:
                self.resume(list(self._checkpoints))
            return None
        return Batch(records, group_metadata)

    def decide_and_publish(self, batch: Batch) -> None:
        """Begin to make the decisions on a batch final, and to publish them.

        If a batch before was aborted, this one is dropped.

        Raises:
            UnreachableError: A stop was requested while the database was unavailable.
            FatalError: This consumer cannot continue, for instance because it was fenced off.
            TopicRecreatedError: An output topic was recreated; nothing was published.
            ElectionError: The database is that of another election, or an older backup.
        """
        if self.finish(to_batches=MAX_BATCHES - 1):
            self._in_flight.begin(batch, self._checkpoints)

    def finish(self, *, to_batches: int = 0) -> bool:
        """Wait until at most so many batches are in flight, and the others published.

        Returns:
            False if one was aborted: the partitions resume at their checkpoints.

        Raises:
            VotingError: As `decide_and_publish`.
        """
        if self._await_published(to_batches):
            return True
        if not self._should_stop():
            self.resume(list(self._checkpoints))
        return False

    def _await_published(self, to_batches: int = 0) -> bool:
        """Wait until at most so many batches are in flight; return False if one was aborted."""
        while len(self._in_flight) > to_batches:
            try:
                records, self._checkpoints = self._in_flight.finish_first()
            except ProducerFenced:
                self._check_no_twin()
                if not self._should_stop():
                    self._publisher.reconnect()
                return False
            except TransactionAborted:
                return False
            self._heartbeat.beat()
            self._decided += records
            self._progress.update(self._decided)
        return True

    def resume(self, partitions: Collection[int]) -> None:
        """Start each partition at its checkpoint, once no batch in flight can still be published.

        Neither one of this consumer nor one of a former owner of the partitions.

        Raises:
            FatalError: The group's offsets cannot be read.
            TopicRecreatedError: A topic was recreated.
        """
        self._await_published()
        await_stable_offsets(self._consumer, partitions, self._should_stop)
        self._wait_out(self._guard.check_all)
        recorded = self._wait_out(
            lambda: read_checkpoints(
                self._settings.kafka, self._admin, self._topic_ids, timeout=READ_SECONDS
            )
        )
        if recorded.foreign:
            log.warning("skipped foreign records", records=str(recorded.foreign))
        self._checkpoints = resume_points(partitions, recorded.present, self._topic_ids)
        offsets = {
            partition: checkpoint.next_offset for partition, checkpoint in self._checkpoints.items()
        }
        self._reader.assign(self._topic_ids[topics.VOTERS.name], offsets)
        log.info("resuming", offsets=offsets)

    def _wait_out(self, function: Callable[[], T]) -> T:
        """Return the result of a request to Kafka, repeated until an outage is over."""
        return retry_until_available(
            function, retry_on=is_unavailable, outage=self._outage, should_stop=self._should_stop
        )

    def _check_no_twin(self) -> None:
        """Check that no other consumer of this instance has fenced off this one.

        The group keeps a member that has gone for the session timeout, this consumer's own one from
        before an outage too. So only one that stays longer is another consumer.

        Raises:
            FatalError: One has.
        """
        seen, until = "", 0.0
        while (twin := self._wait_out(self._find_twin)) is not None and not self._should_stop():
            if twin.member_id != seen:
                seen = twin.member_id
                until = time.monotonic() + self._settings.session_timeout + TWIN_MARGIN_SECONDS
            elif time.monotonic() > until:
                raise FatalError(
                    "fenced off: another consumer of the instance "
                    f"{self._settings.instance!r} runs at {twin.host}; give each "
                    "consumer of the group an --instance of its own"
                )
            time.sleep(TWIN_PAUSE_SECONDS)

    def _find_twin(self) -> GroupMember | None:
        own_client, own_member = self._settings.transactional_id, self._consumer.memberid()
        members = group_members(self._admin)
        twins = (m for m in members if m.client_id == own_client and m.member_id != own_member)
        return next(twins, None)

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._rebalances += 1
        if self._callback_error is not None:
            return
        # An error that is raised through librdkafka arrives as another one.
        try:
            self.resume([each.partition for each in partitions])
        except Exception as error:
            self._callback_error = error

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        # The group waits until this returns. Of lost partitions, Kafka refuses the transaction.
        self._release()
        self._rebalances += 1
        self._checkpoints = {}
        self._reader.unassign()
        log.info("partitions revoked", partitions=[each.partition for each in partitions])

    def _release(self) -> None:
        """Wait for the end of the batches in flight, and keep an error for the next poll."""
        try:
            self._await_published()
        except Exception as error:
            self._callback_error = self._callback_error or error

    def _raise_callback_error(self) -> None:
        error, self._callback_error = self._callback_error, None
        if error is not None:
            raise error
