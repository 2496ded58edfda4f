"""The count: runs the streaming query, and starts it again after an outage of Kafka."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from pyspark.errors import StreamingQueryException
from pyspark.sql import Row, SparkSession
from pyspark.sql.streaming import StreamingQuery
from pyspark.sql.streaming.listener import StreamingQueryProgress

from voting_core import topics
from voting_core.election import Election
from voting_core.exceptions import FatalError, UnreachableError, one_line
from voting_core.kafka import is_unavailable
from voting_core.service.health import Heartbeat
from voting_core.service.identity import check_topic_ids
from voting_core.service.outage import STEP_SECONDS, OutageLog
from voting_core.service.signals import StopRequested, StopSignal
from voting_core.service.topic_watch import TopicWatch
from voting_stream.aggregation import FOREIGN
from voting_stream.live_totals import LiveTotals, waiting_ranges
from voting_stream.outages import is_outage
from voting_stream.query import start_query
from voting_stream.settings import AVAILABLE_NOW, REAL_TIME, StreamSettings

BEGIN_VOTES = 5_000
"""Real-time mode begins when micro-batches have left at most so many votes."""

LEAVE_VOTES = 25_000
"""When more votes wait, real-time mode is left for micro-batches."""

RECOUNT_VOTES = 100_000
"""Unless these would count again more votes than this, and more than wait."""

PAUSE_MAX = 60.0
"""Maximum pause before the query starts again, in seconds."""

_TOPICS = (topics.VOTES, *topics.AGGREGATES)

_OLD_STATE = "CHECKPOINT_FORMAT_V1_NOT_SUPPORTED"
_LOST_RECORDS = "Some data may have been lost because they are not available in Kafka any more"

log = structlog.get_logger()


class Count:
    """Counts the votes of one `votes_topic` from one checkpoint."""

    def __init__(
        self,
        spark: SparkSession,
        settings: StreamSettings,
        admin: AdminClient,
        election: Election,
        checkpoint: str,
        stop: StopSignal,
        heartbeat: Heartbeat,
    ) -> None:
        self._spark = spark
        self._settings = settings
        self._admin = admin
        self._votes_topic_id = election.topic_ids[topics.VOTES.name]
        self._checkpoint = checkpoint
        self._stop = stop
        self._heartbeat = heartbeat
        self._outage = OutageLog(f"Kafka at {settings.kafka.bootstrap_servers}")
        self._watch = TopicWatch(lambda: check_topic_ids(admin, election, _TOPICS), self._outage)
        self._last_batch = -1
        self._pause = 0.0

    def run(self) -> None:
        """Count until a stop is requested, or until a query that ends by itself has ended.

        Raises:
            TopicRecreatedError: A topic was recreated.
            FatalError: The query has failed, and not because of an outage.
        """
        real_time = self._settings.trigger == REAL_TIME
        while not self._stop.requested:
            try:
                if real_time:
                    self._count_in_real_time()
                else:
                    with self._query(self._settings.trigger) as query:
                        self._follow(query)
                    return
            except StopRequested:
                return
            except (StreamingQueryException, KafkaException, UnreachableError) as error:
                self._recover(error)

    @contextmanager
    def _query(self, trigger: str) -> Iterator[StreamingQuery]:
        """Start the query, and stop it at the end of the block."""
        query = start_query(
            self._spark, self._settings, self._votes_topic_id, self._checkpoint, trigger
        )
        try:
            yield query
        finally:
            query.stop()

    def _count_in_real_time(self) -> None:
        """Count by micro-batches until few votes wait; then in real time until many do.

        Raises:
            StopRequested: A stop is requested.
        """
        counted = self._catch_up()
        kafka = self._settings.kafka
        with self._stop.interruptible():
            totals = LiveTotals(kafka, self._admin, self._votes_topic_id, counted)
        with totals, self._query(REAL_TIME) as query:
            log.info("counting in real time", votes=totals.votes)
            self._follow_real_time(query, totals)

    def _catch_up(self) -> dict[int, int]:
        """Count what waits, until few votes have arrived meanwhile.

        Returns:
            The offset at which each partition of `votes_topic` continues.

        Raises:
            StopRequested: A stop is requested.
        """
        while True:
            with self._query(AVAILABLE_NOW) as query:
                self._follow(query)
                progress = query.lastProgress
            with self._stop.interruptible():
                assert progress is not None
                offsets = json.loads(progress["sources"][0]["endOffset"])[topics.VOTES.name]
                counted = {int(partition): offset for partition, offset in offsets.items()}
                waiting = waiting_ranges(self._admin, counted)
            if sum(each.length for each in waiting.values()) <= BEGIN_VOTES:
                return counted

    def _follow_real_time(self, query: StreamingQuery, totals: LiveTotals) -> None:
        """Log the votes that were counted, until too many wait or a stop is requested."""
        at_checkpoint, behind = totals.votes, 0

        def is_counting() -> bool:
            nonlocal behind
            before = totals.votes
            has_counted = totals.read()
            waiting = totals.waiting()
            behind = sum(each.length for each in waiting.values())
            if votes := totals.votes - before:
                log.info("counted", votes=votes, all_votes=totals.votes)
            return has_counted or totals.are_complete(waiting)

        while not self._stop.requested and not query.awaitTermination(timeout=1):
            is_available = self._is_available(self._watch.check_if_due)
            if is_available and self._is_available(is_counting):
                self._heartbeat.beat()
                self._pause = 0.0
            if self._log_batches(query, "checkpoint written"):
                at_checkpoint = totals.votes
            counted_again = totals.votes - at_checkpoint
            if behind > LEAVE_VOTES and counted_again <= max(RECOUNT_VOTES, behind):
                log.info("counting by micro-batches", waiting=behind)
                return

    def _follow(self, query: StreamingQuery) -> None:
        """Log the batches that counted votes, until the query ends or a stop is requested."""
        while not self._stop.requested and not query.awaitTermination(timeout=1):
            is_available = self._is_available(self._watch.check_if_due)
            if is_available and not query.status["isTriggerActive"]:
                self._heartbeat.beat()
            self._log_batches(query)
        self._log_batches(query)

    def _log_batches(self, query: StreamingQuery, event: str = "counted") -> bool:
        """Log the batches that have ended since the last call, in one line; return if any has."""
        batches = [
            progress
            for progress in query.recentProgress
            if progress["batchId"] > self._last_batch and progress["numInputRows"]
        ]
        if not batches:
            return False
        self._heartbeat.beat()
        self._pause = 0.0
        last = batches[-1]
        self._last_batch = last["batchId"]
        foreign = [found for batch in batches if (found := _foreign(batch))]
        skipped = sum(found["records"] for found in foreign)
        log.info(
            event,
            batch=self._last_batch,
            votes=sum(batch["numInputRows"] for batch in batches) - skipped,
            votes_per_second=round(last["processedRowsPerSecond"]),
            milliseconds=last["durationMs"],
        )
        if foreign:
            first = foreign[0]["first"]
            log.warning(
                "skipped foreign records",
                topic=topics.VOTES.name,
                records=skipped,
                first=f"{first['partition']}@{first['offset']}",
            )
        return True

    def _is_available(self, check: Callable[[], bool]) -> bool:
        """Return the result of a check of the topics, False in an outage; a stop interrupts it."""
        try:
            with self._stop.interruptible():
                return check()
        except StopRequested:
            return False
        except (KafkaException, UnreachableError) as error:
            if not is_unavailable(error):
                raise
            return False

    def _recover(self, error: StreamingQueryException | KafkaException | UnreachableError) -> None:
        """Wait for the end of the outage that has ended the query.

        Raises:
            TopicRecreatedError: A topic was recreated, which has ended it.
            FatalError: Something else has ended it.
        """
        cause = one_line(error)
        is_available = self._is_available(self._watch.check)
        if _LOST_RECORDS in cause:
            raise FatalError(
                f"{topics.VOTES.name} lacks records up to the checkpoint {self._checkpoint}, as "
                "after the restore of an older backup: delete the checkpoint, and the stream "
                f"counts from the beginning ({cause[:500]})"
            ) from error
        if _OLD_STATE in cause:
            raise FatalError(
                f"real-time mode cannot continue the checkpoint {self._checkpoint}, which an older "
                "version began: delete it, and the stream counts from the beginning, or use "
                "micro-batches with --trigger '1 second'"
            ) from error
        if is_available and not is_outage(error):
            raise FatalError(f"the count stopped: {cause[:500]}") from error
        self._outage.failed(error)
        self._await_kafka()

    def _await_kafka(self) -> None:
        """Wait until Kafka is available, and longer each time the query fails nevertheless."""
        until = time.monotonic() + self._pause
        self._pause = min(2 * self._pause + 1, PAUSE_MAX)
        while not self._stop.requested:
            if time.monotonic() >= until and self._is_available(self._watch.check_if_due):
                return
            time.sleep(STEP_SECONDS)


def _foreign(progress: StreamingQueryProgress) -> Row | None:
    """Return what a batch observed of foreign records; None without one."""
    found = progress["observedMetrics"].get(FOREIGN)
    return found if found is not None and found["records"] else None
