"""The state of each stage of the pipeline."""

from collections.abc import Mapping
from typing import Any

import attrs
import psycopg
from confluent_kafka.admin import AdminClient

from voting_core import topics
from voting_core.aggregates import AggregateView
from voting_core.checkpoint import decode_checkpoint
from voting_core.kafka import offset_ranges, read_to_end, topic_ids
from voting_core.operator.coverage import CountedPartition, Coverage
from voting_core.operator.vote_counts import count_rejections, select_number
from voting_core.service.settings import KafkaSettings


@attrs.frozen
class KafkaStatus:
    """The state of the pipeline according to Kafka.

    Attributes:
        waiting: Offsets of `voters_topic` whose decisions are not published.
        tallied_at: When the newest aggregate was written, in seconds since 1970.
    """

    waiting: int
    coverage: Coverage
    tallied_at: float | None

    @property
    def tallied(self) -> int:
        """Votes that the aggregates count."""
        return sum(partition.votes for partition in self.coverage.counted)

    def in_flight_reasons(self, votes: int) -> list[str]:
        """Return what is in flight, given the number of votes in the database."""
        reasons = []
        if self.waiting:
            reasons.append(
                f"{self.waiting:,} records of voters_topic wait to be decided and published"
            )
        if self.tallied != votes:
            reasons.append(
                f"the aggregates count {self.tallied:,} votes, the database has {votes:,}"
            )
        return reasons


@attrs.frozen
class PipelineStatus:
    """The state of the pipeline; while it runs, the figures are of slightly different times."""

    registered: int
    votes: int
    rejected: Mapping[str, int]
    kafka: KafkaStatus

    def as_json(self) -> dict[str, Any]:
        """Return the figures as a JSON object."""
        return {
            "registered": self.registered,
            "votes": self.votes,
            "rejected": dict(self.rejected),
            "flow": {
                "waiting": self.kafka.waiting,
                "tallied": self.kafka.tallied,
                "tallied_at": self.kafka.tallied_at,
            },
            "in_flight": bool(self.kafka.in_flight_reasons(self.votes)),
        }


def kafka_status(settings: KafkaSettings, admin: AdminClient) -> KafkaStatus:
    """Read the state of the pipeline from Kafka."""
    ids = topic_ids(admin, [topics.VOTERS, topics.VOTES])
    voters_id, votes_id = ids[topics.VOTERS.name], ids[topics.VOTES.name]
    records = read_to_end(settings, admin, topics.VOTING_PROGRESS.name)
    checkpoints = [decode_checkpoint(record.value()) for record in records]
    next_offsets = {(c.voters_topic_id, c.partition): c.next_offset for c in checkpoints}
    waiting = sum(
        offsets.end - next_offsets.get((voters_id, partition), offsets.start)
        for partition, offsets in offset_ranges(admin, topics.VOTERS.name).items()
    )
    view = AggregateView(votes_id)
    topic = topics.AGGREGATED_PROGRESS.name
    newest = None
    for message in read_to_end(settings, admin, topic):
        if view.apply(topic, message.key() or b"", message.value() or b""):
            newest = max(newest or 0, message.timestamp()[1] / 1000)
    counted = [
        CountedPartition(row["partition"], row["total_votes"], row["last_offset"])
        for row in view.rows(topic)
    ]
    counted.sort(key=lambda each: each.partition)
    return KafkaStatus(waiting, Coverage(next_offsets, votes_id, tuple(counted)), newest)


def pipeline_status(
    settings: KafkaSettings, admin: AdminClient, conn: psycopg.Connection
) -> PipelineStatus:
    """Read the state of the pipeline from Kafka and PostgreSQL."""
    return PipelineStatus(
        registered=select_number(conn, "voters"),
        votes=stored_votes(conn),
        rejected=count_rejections(conn),
        kafka=kafka_status(settings, admin),
    )


def stored_votes(conn: psycopg.Connection) -> int:
    """Return the number of accepted votes in the database."""
    return select_number(conn, "votes")
