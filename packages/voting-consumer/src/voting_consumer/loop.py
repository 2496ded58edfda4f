"""The exactly-once loop.

Kafka transactions do not extend to PostgreSQL. So each batch of records takes four steps:

1. `poll` reads a batch and the group metadata of that moment.
2. `Decider.decide` makes the decisions final in one database transaction. A record that already
   has a decision keeps it.
3. `Publisher.publish` publishes the stored decisions in one Kafka transaction, together with
   the checkpoint of each partition.
4. `resume`, after an assignment or an aborted transaction, starts each partition at its
   checkpoint.

A crash at any point repeats the steps that follow the last checkpoint: they find the decisions in
the database and publish them.
"""

from collections.abc import Callable, Collection

import structlog
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from voting_consumer.batch import Batch, PartitionReader, generation_of
from voting_consumer.decisions import Decider
from voting_consumer.idle import IdleTimer
from voting_consumer.publisher import Publisher, TransactionAborted
from voting_consumer.resume import await_stable_offsets, find_topic_ids, resume_points
from voting_consumer.settings import ConsumerSettings
from voting_core import topics
from voting_core.checkpoint import PartitionCheckpoint
from voting_core.kafka import client_config, read_checkpoints
from voting_core.service.health import Heartbeat
from voting_core.service.progress_bar import LogProgress

log = structlog.get_logger()


class BallotConsumer:
    """One member of the consumer group."""

    def __init__(
        self,
        settings: ConsumerSettings,
        admin: AdminClient,
        decider: Decider,
        publisher: Publisher,
    ) -> None:
        self._settings = settings
        self._admin = admin
        self._decider = decider
        self._publisher = publisher
        self._heartbeat = Heartbeat(settings.heartbeat)
        self._checkpoints: dict[int, PartitionCheckpoint] = {}
        self._rebalances = 0
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
        self._reader = PartitionReader(self._consumer, settings.batch_size)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Decide on ballots until asked to stop, or until none has arrived for `until_idle`.

        Raises:
            FatalError: Continuing could produce a wrong count.
            UnreachableError: PostgreSQL has been unavailable for minutes.
        """
        self._consumer.subscribe(
            [topics.VOTERS.name],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )
        idle = IdleTimer(self._settings.until_idle)
        progress = LogProgress("decided", "records", total=None)
        decided = 0
        while not should_stop() and not idle.expired:
            batch = self.poll()
            if self._consumer.memberid():
                self._heartbeat.beat()
            if batch is not None:
                self.decide_and_publish(batch)
                decided += len(batch.records)
                progress.update(decided)
            if batch is not None or not self._reader.has_caught_up:
                idle.reset()
        if idle.expired:
            log.info("idle", seconds=idle.timeout)

    def poll(self) -> Batch | None:
        """Return the next records; None if there are none, or if they may belong to another member.

        Raises:
            FatalError: The topic cannot be read.
        """
        rebalances = self._rebalances
        records = self._reader.read()
        group_metadata = self._consumer.consumer_group_metadata()
        if not records:
            return None
        # consume() may return records of partitions that were revoked while it ran.
        if rebalances != self._rebalances or generation_of(group_metadata) < 0:
            log.info("batch dropped: the assignment has changed", records=len(records))
            if self._checkpoints:
                self.resume(list(self._checkpoints))
            return None
        return Batch(records, group_metadata)

    def decide_and_publish(self, batch: Batch) -> None:
        """Make the decisions on a batch final, then publish them; resume if that was aborted.

        Raises:
            FatalError: This producer cannot continue, for instance because it was fenced off.
            UnreachableError: PostgreSQL has been unavailable for minutes.
        """
        decisions = [
            (decided, self._checkpoints[decided.records.partition])
            for decided in self._decider.decide(batch.records, batch.ranges)
        ]
        next_offsets = [
            TopicPartition(topics.VOTERS.name, each.partition, each.end) for each in batch.ranges
        ]
        try:
            self._publisher.publish(decisions, next_offsets, batch.group_metadata)
        except TransactionAborted:
            self.resume(list(self._checkpoints))
            return
        for decided, before in decisions:
            self._checkpoints[before.partition] = before.advanced_to(decided.records.end)

    def resume(self, partitions: Collection[int]) -> None:
        """Start each partition at its checkpoint, once no former owner can still publish.

        Raises:
            FatalError: A former owner's transaction stays open.
        """
        await_stable_offsets(self._consumer, partitions)
        ids = find_topic_ids(self._admin)
        recorded = read_checkpoints(self._settings.kafka, self._admin, ids.voters)
        self._checkpoints = resume_points(partitions, recorded, ids)
        offsets = {
            partition: checkpoint.next_offset for partition, checkpoint in self._checkpoints.items()
        }
        self._reader.assign(ids.voters, offsets)
        log.info("resuming", offsets=offsets)

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._rebalances += 1
        self.resume([each.partition for each in partitions])

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        # Callbacks run inside consume(), when no transaction is open: there is nothing to finish.
        self._rebalances += 1
        self._checkpoints = {}
        self._reader.unassign()
        log.info("partitions revoked", partitions=[each.partition for each in partitions])
