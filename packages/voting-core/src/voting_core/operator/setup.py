"""Creating an election's tables and topics, and deleting its data."""

import psycopg
import structlog
from confluent_kafka.admin import AdminClient

from voting_core.database import migrate
from voting_core.exceptions import TopicError
from voting_core.kafka import (
    check_topics,
    create_topics,
    delete_topics,
    existing_topics,
    offset_ranges,
)
from voting_core.topics import ALL_TOPICS, REJECTED_VOTES, VOTES, VOTING_PROGRESS

log = structlog.get_logger()


def set_up_election(
    admin: AdminClient,
    conn: psycopg.Connection,
    *,
    partitions: int = 4,
    replication: int = -1,
    min_insync_replicas: int = -1,
) -> None:
    """Create the missing tables and topics, with the arguments of `create_topics`.

    Raises:
        TopicError: An existing topic would lose records, or the checkpoints of published records
            are missing.
    """
    _check_checkpoints(admin)
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


def _check_checkpoints(admin: AdminClient) -> None:
    """Check that published records have checkpoints; they would be published twice otherwise."""
    existing = existing_topics(admin)
    if VOTING_PROGRESS.name in existing:
        return
    for topic in (VOTES, REJECTED_VOTES):
        if topic.name in existing and any(
            offsets.end > offsets.start for offsets in offset_ranges(admin, topic.name).values()
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
