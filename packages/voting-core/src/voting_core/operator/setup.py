"""Creating an election: its identity, tables and topics; and deleting its data."""

from collections.abc import Mapping
from datetime import UTC, datetime

import attrs
import psycopg
import structlog
from confluent_kafka.admin import AdminClient

from voting_core.database import migrate
from voting_core.database.election import (
    change_consumer_group,
    create_election,
    first_migration_time,
    read_consumer_group,
    read_election,
    update_election,
)
from voting_core.election import (
    Election,
    ElectionChanges,
    ballot_time_config,
    change_election,
    check_same_election,
    new_election,
    recreated_topics,
)
from voting_core.exceptions import ElectionError, TopicError
from voting_core.foreign import ForeignRecords
from voting_core.kafka import (
    PublishedElections,
    check_topics,
    create_topics,
    delete_topics,
    existing_topics,
    publish_election,
    read_published_elections,
    read_to_end,
    set_config,
    topic_ids,
)
from voting_core.operator.running_services import check_stopped
from voting_core.service.settings import KafkaSettings
from voting_core.topics import (
    ALL_TOPICS,
    REGISTERED_TOPICS,
    REJECTED_VOTES,
    VOTERS,
    VOTES,
    VOTING_ELECTION,
    VOTING_PROGRESS,
    TopicSpec,
)

_OF_CONSUMER = (VOTERS, VOTES, REJECTED_VOTES, VOTING_PROGRESS)

log = structlog.get_logger()


@attrs.frozen(kw_only=True)
class TopicLayout:
    """How missing topics are created; see `create_topics`."""

    partitions: int = 4
    replication: int = -1
    min_insync_replicas: int = -1


def set_up_election(
    settings: KafkaSettings,
    admin: AdminClient,
    conn: psycopg.Connection,
    changes: ElectionChanges | None = None,
    layout: TopicLayout | None = None,
) -> Election:
    """Create the election, or what is missing of it, and register its topics in both stores.

    May be repeated: it completes a setup that was interrupted, changes the polling hours, and
    registers topics that were recreated on purpose, for which the services must be stopped.

    Raises:
        ElectionError: Kafka and PostgreSQL belong to different elections; or topics were recreated
            while services run, or beside topics with records that would be published twice.
        InputError: A requested change is not possible.
        TopicError: An existing topic would lose records.
    """
    existing = existing_topics(admin)
    _check_checkpoints(settings, admin, existing)
    applied = migrate(conn)
    published = PublishedElections({}, ForeignRecords())
    if VOTING_ELECTION.name in existing:
        published = read_published_elections(settings, admin)
    stored = read_election(conn)
    check_same_election(stored, published.elections)
    election = _claim_election(
        settings, admin, conn, stored, changes or ElectionChanges(), existing
    )

    created = create_topics(admin, ALL_TOPICS, **attrs.asdict(layout or TopicLayout()))
    check_topics(admin, ALL_TOPICS)
    set_config(admin, VOTERS, ballot_time_config(election, datetime.now(UTC)))
    ids = topic_ids(admin, REGISTERED_TOPICS)
    _check_recreated(settings, admin, conn, election, ids)

    election = attrs.evolve(election, topic_ids=ids)
    if election != stored:
        update_election(conn, election)
    if published.elections.get(election.election_id) != election:
        publish_election(settings, election)
    log.info(
        "ready",
        election_id=election.election_id,
        mode=election.mode,
        name=election.name,
        migrations=[migration.name for migration in applied],
        topics=created,
    )
    return election


def _claim_election(
    settings: KafkaSettings,
    admin: AdminClient,
    conn: psycopg.Connection,
    stored: Election | None,
    changes: ElectionChanges,
    existing: set[str],
) -> Election:
    """Return the database's election with the changes; create it if there is none."""
    if stored is None:
        is_upgrade = VOTERS.name in existing and _has_records(settings, admin, VOTERS)
        # Ballots that were sent before there were election ids must keep their decisions.
        began_at = first_migration_time(conn) if is_upgrade else datetime.now(UTC)
        election = change_election(
            new_election(began_at.replace(microsecond=0)), changes, is_new=True
        )
        if create_election(conn, election):
            return election
        # Another `voting init` was faster.
        stored = read_election(conn)
        assert stored is not None
    return change_election(stored, changes, is_new=not stored.topic_ids)


def _check_checkpoints(settings: KafkaSettings, admin: AdminClient, existing: set[str]) -> None:
    """Check that published records have checkpoints; they would be published twice otherwise."""
    if VOTING_PROGRESS.name not in existing:
        for topic in (VOTES, REJECTED_VOTES):
            if topic.name in existing and _has_records(settings, admin, topic):
                raise _published_twice(VOTING_PROGRESS, "is missing", topic)


def _check_recreated(
    settings: KafkaSettings,
    admin: AdminClient,
    conn: psycopg.Connection,
    election: Election,
    ids: Mapping[str, str],
) -> None:
    """Check that recreated topics may be registered.

    Recreated output topics must be empty: the consumer publishes every decision to them again.
    """
    recreated = recreated_topics(election, ids)
    if not recreated:
        return
    # The consumer does not touch the aggregates, and the stream ends by itself.
    if any(topic.name in recreated for topic in _OF_CONSUMER):
        check_stopped(admin, conn, f"{', '.join(recreated)} cannot be registered")
    for topic in (VOTES, REJECTED_VOTES):
        is_refilled = topic.name in recreated or VOTING_PROGRESS.name in recreated
        if is_refilled and _has_records(settings, admin, topic):
            raise _published_twice(
                topic if topic.name in recreated else VOTING_PROGRESS, "was recreated", topic
            )
    log.info("registering recreated topics", topics=recreated)


def _published_twice(recreated: TopicSpec, state: str, filled: TopicSpec) -> TopicError:
    outputs = {VOTES.name, REJECTED_VOTES.name} if recreated is VOTING_PROGRESS else {filled.name}
    return TopicError(
        f"{recreated.name} {state}, though {filled.name} has records, which would be published a "
        f"second time: delete {' and '.join(sorted(outputs))} too; the consumer fills "
        f"{'both' if len(outputs) > 1 else 'it'} again from the tables"
    )


def _has_records(settings: KafkaSettings, admin: AdminClient, topic: TopicSpec) -> bool:
    # Aborted records occupy offsets too.
    return any(True for _ in read_to_end(settings, admin, topic.name))


def assign_consumer_group(admin: AdminClient, conn: psycopg.Connection, group: str) -> None:
    """Let a consumer group decide and publish from now on, in place of the former one.

    Raises:
        ElectionError: A service runs, or has just been started.
    """
    before = read_consumer_group(conn)
    if before == group:
        return
    check_stopped(admin, conn, "the consumer group cannot be changed")
    if not change_consumer_group(conn, before, group):
        raise ElectionError("a consumer was started meanwhile: stop it, then repeat the command")


def forget_election(admin: AdminClient, conn: psycopg.Connection) -> None:
    """Delete the election: its identity, candidates, voters, decisions, incidents and topics.

    The database comes first. If the deletion is interrupted, no service accepts the remaining
    topics, and a repetition completes it.

    Raises:
        SchemaError: The database has a newer schema, or tables of another program.
        TopicError: A topic still exists some time after its deletion.
    """
    migrate(conn)
    with conn.transaction():
        for table in ("incident_resolutions", "incidents"):
            conn.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        conn.execute(
            "TRUNCATE election, candidates, voters, votes, rejections, incident_resolutions,"
            " incidents"
        )
        for table in ("incident_resolutions", "incidents"):
            conn.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    deleted = delete_topics(admin, ALL_TOPICS)
    log.info("forgotten", topics=deleted)
