"""A stream that runs while a test looks at its totals."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from testkit.election import QUICK_JAVA, Election
from voting_core import topics
from voting_core.aggregates import AggregateView
from voting_core.kafka import read_to_end, topic_ids
from voting_core.service.java import find_java
from voting_infra import Child
from voting_infra.service_commands import spark_archives
from voting_stream.class_archive import find_archive
from voting_stream.settings import StreamSettings

__all__ = ["running_stream", "tallied", "totals", "votes_topic_id"]

JAVA = f"--spark-conf=spark.driver.extraJavaOptions={QUICK_JAVA}"


@contextmanager
def running_stream(election: Election, *args: str) -> Iterator[Child]:
    """Run the stream with these options; the end of the block kills it."""
    child = election.start("voting-stream", "run", JAVA, *_archive_option(), *args)
    try:
        yield child
    finally:
        child.kill()


def _archive_option() -> list[str]:
    """Return the option for a fast start, if the stop need not record an archive first."""
    directory = spark_archives()
    archive = find_archive(directory, find_java(os.environ), StreamSettings().kafka_package)
    return [f"--class-archives={directory}"] if archive.exists else []


def votes_topic_id(election: Election) -> str:
    """Return the present id."""
    return topic_ids(election.admin, [topics.VOTES])[topics.VOTES.name]


def totals(election: Election, topic_id: str) -> AggregateView:
    """Return the totals under an id of votes_topic."""
    view = AggregateView(topic_id)
    for topic in topics.AGGREGATES:
        for message in read_to_end(election.kafka, election.admin, topic.name):
            view.apply(topic.name, message.key(), message.value())
    return view


def tallied(election: Election, topic_id: str) -> int:
    """Return the votes counted under an id of votes_topic."""
    return totals(election, topic_id).sums().get(topics.AGGREGATED_PROGRESS.name, 0)
