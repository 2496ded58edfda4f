"""The service: starts Spark, runs the streaming query and follows its progress."""

import os

import structlog
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql.streaming import StreamingQuery

from voting_core import topics
from voting_core.exceptions import FatalError
from voting_core.kafka import check_topics, connect_admin, topic_ids
from voting_core.service.health import Heartbeat
from voting_core.service.java import find_java
from voting_core.service.logging import configure_logging
from voting_core.service.signals import StopSignal
from voting_stream.class_archive import find_archive, record_archive
from voting_stream.query import start_query
from voting_stream.session import checkpoint_path, is_submitted, lock_checkpoint, start_session
from voting_stream.settings import StreamSettings

log = structlog.get_logger()


def run(settings: StreamSettings) -> None:
    """Keep the aggregate topics up to date until SIGTERM or SIGINT.

    Raises:
        VotingError: Java, Kafka or its topics are not as needed, or the query has failed.
    """
    configure_logging(settings.log, "voting-stream")
    stop = StopSignal()
    with stop.handle():
        heartbeat = Heartbeat(settings.heartbeat)
        java = find_java(os.environ)
        votes_topic_id = _find_votes_topic(settings)
        archive = None
        if settings.class_archives is not None and not is_submitted(os.environ):
            archive = find_archive(settings.class_archives, java, settings.kafka_package)
        # A signal does not interrupt the start: PySpark would leave its Java process running.
        spark = start_session(settings, [archive.java_option] if archive else [])
        # Again, because Spark installs a SIGINT handler of its own when it starts.
        with stop.handle():
            try:
                if not stop.requested:
                    _count(spark, settings, votes_topic_id, stop, heartbeat)
            finally:
                spark.stop()
                if archive is not None:
                    record_archive(archive, spark)
    log.info("stopped")


def _find_votes_topic(settings: StreamSettings) -> str:
    """Check the topics and return the id of `votes_topic`."""
    admin = connect_admin(settings.kafka)
    check_topics(admin, (topics.VOTES, *topics.AGGREGATES))
    return topic_ids(admin, [topics.VOTES])[topics.VOTES.name]


def _count(
    spark: SparkSession,
    settings: StreamSettings,
    votes_topic_id: str,
    stop: StopSignal,
    heartbeat: Heartbeat,
) -> None:
    checkpoint = checkpoint_path(settings, votes_topic_id)
    lock = lock_checkpoint(spark, checkpoint)
    log.info(
        "counting",
        master=spark.sparkContext.master,
        votes_topic_id=votes_topic_id,
        checkpoint=checkpoint,
        lock=bool(lock),
    )
    query = start_query(spark, settings, votes_topic_id, checkpoint)
    try:
        _follow(query, stop, heartbeat)
        query.stop()
    except StreamingQueryException as error:
        cause = str(error).strip().splitlines()[0]
        raise FatalError(f"the count stopped: {cause}") from error


def _follow(query: StreamingQuery, stop: StopSignal, heartbeat: Heartbeat) -> None:
    """Log each batch that counted votes, until the query ends or a stop is requested."""
    last_batch = -1
    while not stop.requested and not query.awaitTermination(timeout=1):
        if not query.status["isTriggerActive"]:
            heartbeat.beat()
        progress = query.lastProgress
        if progress and progress["batchId"] > last_batch and progress["numInputRows"]:
            last_batch = progress["batchId"]
            heartbeat.beat()
            log.info(
                "counted",
                batch=last_batch,
                votes=progress["numInputRows"],
                votes_per_second=round(progress["processedRowsPerSecond"]),
                milliseconds=progress["durationMs"],
            )
