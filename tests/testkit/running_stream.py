"""A stream that runs while a test looks at its totals."""

from collections.abc import Iterator
from contextlib import contextmanager

from testkit.election import QUICK_JAVA, Election
from voting_core import topics
from voting_core.aggregates import AggregateView
from voting_core.kafka import read_to_end, topic_ids
from voting_infra import Child

__all__ = ["running_stream", "tallied", "totals", "votes_topic_id"]

JAVA = f"--spark-conf=spark.driver.extraJavaOptions={QUICK_JAVA}"


@contextmanager
def running_stream(election: Election, *args: str) -> Iterator[Child]:
    """Run the stream with these options; the end of the block kills it."""
    child = election.start("voting-stream", "run", JAVA, *args)
    try:
        yield child
    finally:
        child.kill()


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
