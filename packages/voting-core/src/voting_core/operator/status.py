"""How far each stage of the pipeline has come."""

from collections.abc import Mapping

import attrs
import psycopg
from confluent_kafka.admin import AdminClient

from voting_core import topics
from voting_core.aggregates import AggregateView
from voting_core.kafka import offset_ranges, read_checkpoints, read_to_end, topic_ids
from voting_core.operator.counts import count_rejections
from voting_core.service.settings import KafkaSettings

__all__ = ["Flow", "PipelineStatus", "pipeline_flow", "pipeline_status"]


@attrs.frozen
class Flow:
    """How far Kafka says that the count is.

    Attributes:
        waiting: Offsets of `voters_topic` whose decisions are not published yet.
        tallied: Votes that the aggregates contain.
        tallied_at: When the newest of them were written, in seconds since 1970.
    """

    waiting: int
    tallied: int
    tallied_at: float | None


@attrs.frozen
class PipelineStatus:
    """A moment of the pipeline; while it runs the figures are of slightly different moments.

    Attributes:
        registered: Voters in the register.
        votes: Accepted votes in the database.
        rejected: Rejections in the database by reason.
        flow: How far Kafka says that the count is.
    """

    registered: int
    votes: int
    rejected: Mapping[str, int]
    flow: Flow

    @property
    def in_flight(self) -> bool:
        """Whether something is on its way that the last stage does not show yet."""
        return self.flow.waiting > 0 or self.flow.tallied != self.votes


def pipeline_flow(settings: KafkaSettings, admin: AdminClient) -> Flow:
    """Ask Kafka how far the count is."""
    ids = topic_ids(admin, [topics.VOTERS, topics.VOTES])
    published = read_checkpoints(settings, admin, ids[topics.VOTERS.name])
    waiting = 0
    for partition, span in offset_ranges(admin, topics.VOTERS.name).items():
        progress = published.get(partition)
        waiting += span.end - (progress.next_offset if progress else span.start)
    view = AggregateView(ids[topics.VOTES.name])
    newest = None
    for message in read_to_end(settings, admin, topics.AGGREGATED_PROGRESS.name):
        if view.apply(message.topic() or "", message.key() or b"", message.value() or b""):
            newest = max(newest or 0, message.timestamp()[1] / 1000)
    return Flow(
        waiting=waiting,
        tallied=sum(r["total_votes"] for r in view.rows(topics.AGGREGATED_PROGRESS.name)),
        tallied_at=newest,
    )


def pipeline_status(
    settings: KafkaSettings, admin: AdminClient, conn: psycopg.Connection
) -> PipelineStatus:
    """Ask Kafka and PostgreSQL how far the pipeline is."""
    row = conn.execute(
        "SELECT (SELECT count(*) FROM voters), (SELECT count(*) FROM votes)"
    ).fetchone()
    registered, votes = row or (0, 0)
    return PipelineStatus(
        registered=registered,
        votes=votes,
        rejected=count_rejections(conn),
        flow=pipeline_flow(settings, admin),
    )
