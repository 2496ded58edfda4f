"""The command `voting-stream`."""

import os
import signal
import threading
from types import FrameType
from typing import Any

import click
import structlog
from pyspark.errors import StreamingQueryException
from pyspark.sql.streaming import StreamingQuery

from voting_core import topics
from voting_core.exceptions import FatalError
from voting_core.kafka import check_topics, connect_admin, topic_ids
from voting_core.service.cli import run_command
from voting_core.service.health import Heartbeat
from voting_core.service.java import find_java
from voting_core.service.logging import configure_logging
from voting_core.service.settings import settings_options
from voting_stream.class_archive import find_archive, record_archive
from voting_stream.query import start_query
from voting_stream.session import checkpoint_of, hold_checkpoint, is_submitted, start_session
from voting_stream.settings import StreamSettings

__all__ = ["main"]

log = structlog.get_logger()


@click.group(name="voting-stream")
@click.version_option(package_name="voting-stream")
def cli() -> None:
    """Tally the votes on votes_topic with Spark Structured Streaming."""


@cli.command()
@settings_options(StreamSettings, "voting-stream")
def run(settings: StreamSettings) -> None:
    """Keep the aggregate topics up to date until stopped."""
    configure_logging(settings.log, "voting-stream")
    stop = threading.Event()
    heartbeat = Heartbeat(settings.heartbeat)
    java = find_java(os.environ)
    admin = connect_admin(settings.kafka)
    check_topics(admin, (topics.VOTES, *topics.AGGREGATES))
    votes_topic_id = topic_ids(admin, [topics.VOTES])[topics.VOTES.name]
    checkpoint = checkpoint_of(settings, votes_topic_id)
    archive = None
    if settings.class_archives is not None and not is_submitted(os.environ):
        archive = find_archive(settings.class_archives, java, settings.kafka_package)
    spark = start_session(settings, [archive.java_option] if archive else [])
    try:
        # Spark sets a SIGINT handler of its own when it starts.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _setter(stop))
        lock = hold_checkpoint(spark, checkpoint)
        log.info(
            "counting",
            master=spark.sparkContext.master,
            votes_topic_id=votes_topic_id,
            checkpoint=checkpoint,
            lock=bool(lock),
        )
        _follow(start_query(spark, settings, votes_topic_id, checkpoint), stop, heartbeat)
    finally:
        spark.stop()
        if archive is not None:
            record_archive(archive, spark)
    log.info("stopped")


def _setter(stop: threading.Event) -> Any:
    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()

    return handle


def _follow(query: StreamingQuery, stop: threading.Event, heartbeat: Heartbeat) -> None:
    last_batch = -1
    try:
        while not stop.is_set() and not query.awaitTermination(timeout=1):
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
        query.stop()
    except StreamingQueryException as error:
        cause = str(error).strip().splitlines()[0]
        raise FatalError(f"the count stopped: {cause}") from error


def main() -> None:
    """Run the command."""
    run_command(cli)
