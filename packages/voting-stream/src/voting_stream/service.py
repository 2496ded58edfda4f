"""The service: checks the election, starts Spark, and counts until it is stopped."""

import os
import time

import structlog
from confluent_kafka.admin import AdminClient
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from voting_core import topics
from voting_core.election import Election
from voting_core.exceptions import FatalError, one_line
from voting_core.kafka import check_topics, connect_admin, offset_ranges
from voting_core.service.class_archive import ClassArchive
from voting_core.service.health import Heartbeat
from voting_core.service.identity import read_checked_election
from voting_core.service.java import find_java
from voting_core.service.logging import configure_logging
from voting_core.service.signals import StopSignal
from voting_stream.class_archive import find_archive, keep_archive
from voting_stream.count import Count
from voting_stream.session import (
    checkpoint_path,
    is_submitted,
    lock_checkpoint,
    start_session,
    stop_session,
)
from voting_stream.settings import REAL_TIME, StreamSettings
from voting_stream.slots import check_slots

SIGNAL_SECONDS = 2.0
"""How much later than Java this process may handle a signal that both received."""

log = structlog.get_logger()


def run(settings: StreamSettings) -> None:
    """Keep the aggregate topics up to date until SIGTERM or SIGINT.

    Raises:
        VotingError: Java, Kafka, PostgreSQL or their contents are not as needed, a topic was
            recreated, or the query has failed.
    """
    configure_logging(settings.log, "voting-stream")
    stop = StopSignal()
    with stop.handle():
        heartbeat = Heartbeat(settings.heartbeat)
        java = find_java(os.environ)
        admin = connect_admin(settings.kafka)
        check_topics(admin, (topics.VOTES, *topics.AGGREGATES))
        election = read_checked_election(
            settings.kafka, settings.database, admin, application="voting-stream"
        )
        partitions = len(offset_ranges(admin, topics.VOTES.name))
        archive = None
        if settings.class_archives is not None and not is_submitted(os.environ):
            archive = find_archive(settings.class_archives, java, settings.kafka_package)
        # A signal does not interrupt the start: PySpark would leave its Java process running.
        spark = _start_session(settings, partitions, archive, stop)
        if spark is not None:
            # Again, because Spark installs a SIGINT handler of its own when it starts.
            with stop.handle():
                try:
                    if not stop.requested:
                        if settings.trigger == REAL_TIME:
                            check_slots(spark, settings, partitions, stop)
                        _count(spark, settings, admin, election, stop, heartbeat)
                except (Py4JError, PySparkException, ConnectionError) as error:
                    raise FatalError(f"Spark failed: {one_line(error)[:500]}") from error
                finally:
                    stop_session(spark)
            if archive is not None:
                keep_archive(archive)
    log.info("stopped")


def _start_session(
    settings: StreamSettings, partitions: int, archive: ClassArchive | None, stop: StopSignal
) -> SparkSession | None:
    """Start Spark; return None if a signal to the whole process group has ended its Java.

    Once started, Java ignores the signal.
    """
    try:
        return start_session(settings, partitions, [archive.java_option] if archive else [])
    except (Py4JError, PySparkException, OSError) as error:
        # Java may handle the signal sooner than this process.
        deadline = time.monotonic() + SIGNAL_SECONDS
        while not stop.requested and time.monotonic() < deadline:
            time.sleep(0.05)
        if not stop.requested:
            raise FatalError(f"Spark does not start: {one_line(error)[:500]}") from error
        return None


def _count(
    spark: SparkSession,
    settings: StreamSettings,
    admin: AdminClient,
    election: Election,
    stop: StopSignal,
    heartbeat: Heartbeat,
) -> None:
    checkpoint = checkpoint_path(settings, election.topic_ids[topics.VOTES.name])
    lock = lock_checkpoint(spark, checkpoint)
    log.info(
        "counting",
        trigger=settings.trigger,
        master=spark.sparkContext.master,
        votes_topic_id=election.topic_ids[topics.VOTES.name],
        checkpoint=checkpoint,
        lock=bool(lock),
    )
    Count(spark, settings, admin, election, checkpoint, stop, heartbeat).run()
