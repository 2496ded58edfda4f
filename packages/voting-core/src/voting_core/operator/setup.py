"""Setting an election up, and forgetting it."""

import psycopg
import structlog
from confluent_kafka.admin import AdminClient

from voting_core.database.migrations import migrate
from voting_core.exceptions import TopicError
from voting_core.kafka import (
    check_topics,
    create_topics,
    delete_topics,
    existing_topics,
    offset_ranges,
)
from voting_core.topics import ALL_TOPICS, REJECTED_VOTES, VOTES, VOTING_PROGRESS

__all__ = ["forget_election", "set_up_election"]

log = structlog.get_logger()


def set_up_election(
    admin: AdminClient,
    conn: psycopg.Connection,
    *,
    partitions: int = 4,
    replication: int = -1,
    min_insync_replicas: int = -1,
) -> None:
    """Create the tables and topics that do not exist yet.

    Args:
        admin: Connection to Kafka.
        conn: Connection to PostgreSQL, in autocommit mode.
        partitions: Number of partitions of the log topics.
        replication: Copies of each topic; -1 for the broker's default.
        min_insync_replicas: Copies that must have a record before it is acknowledged; -1 for the
            broker's default.

    Raises:
        TopicError: A topic is there, but configured in a way that would lose records; or records
            are there without the progress that tells of them.
    """
    _check_progress(admin)
    applied = migrate(conn)
    created = create_topics(
        admin,
        ALL_TOPICS,
        partitions=partitions,
        replication=replication,
        min_insync_replicas=min_insync_replicas,
    )
    check_topics(admin, ALL_TOPICS)
    log.info("ready", migrations=[m.name for m in applied], topics=created)


def _check_progress(admin: AdminClient) -> None:
    """See that what is published is known as published: it would be a second time otherwise."""
    existing = existing_topics(admin)
    if VOTING_PROGRESS.name in existing:
        return
    for topic in (VOTES, REJECTED_VOTES):
        if topic.name in existing and any(
            span.end > span.start for span in offset_ranges(admin, topic.name).values()
        ):
            raise TopicError(
                f"{VOTING_PROGRESS.name} is missing, though {topic.name} has records, which would "
                f"be published a second time: delete {VOTES.name} and {REJECTED_VOTES.name} too; "
                "the consumer fills both again from the tables"
            )


def forget_election(admin: AdminClient, conn: psycopg.Connection) -> None:
    """Delete all topics, candidates, voters, votes and rejections."""
    deleted = delete_topics(admin, ALL_TOPICS)
    migrate(conn)
    conn.execute("TRUNCATE candidates, voters, votes, rejections")
    log.info("forgotten", topics=deleted)
