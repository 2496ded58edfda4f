"""The check that a service or command works on one election: the same in Kafka and PostgreSQL."""

from collections.abc import Iterable, Mapping

import psycopg
import structlog
from confluent_kafka.admin import AdminClient

from voting_core.database import decisions
from voting_core.database.connection import connect
from voting_core.database.election import read_election
from voting_core.database.migrations import check_schema
from voting_core.election import LIVE_BALLOT_TIMES, Election, agreed_election, recreated_topics
from voting_core.exceptions import ElectionError, InputError, TopicError, TopicRecreatedError
from voting_core.kafka.admin import check_config, offset_ranges, topic_ids
from voting_core.kafka.election import read_published_elections
from voting_core.kafka.reader import read_checkpoints
from voting_core.service.settings import DatabaseSettings, DrawSettings, KafkaSettings, PollSettings
from voting_core.topics import REGISTERED_TOPICS, VOTERS, TopicSpec

CHECK_SECONDS = 3.0
"""How long a check of topics may take; the caller repeats it in an outage."""

_RESTORE = 'restore a newer backup, or follow docs/how-to/recover.md, "Restore an older backup"'

log = structlog.get_logger()


def check_election(
    settings: KafkaSettings, admin: AdminClient, conn: psycopg.Connection
) -> Election:
    """Return the election of both stores, after checking that it is the same and complete.

    Raises:
        ElectionError: The stores belong to different elections, or a topic was recreated.
        SchemaError: The database has no election, or its schema is older than needed.
        TopicError: A topic does not exist, or would lose records.
    """
    check_schema(conn)
    published = read_published_elections(settings, admin)
    election = agreed_election(read_election(conn), published.elections)
    if recreated := recreated_topics(election, topic_ids(admin, REGISTERED_TOPICS)):
        described = "; ".join(f"{name}: {ids}" for name, ids in recreated.items())
        raise ElectionError(
            f"topics of election {election.election_id} were recreated ({described})",
            "stop the services, then run `voting init`, which registers them",
        )
    if election.is_live:
        check_config(admin, VOTERS, LIVE_BALLOT_TIMES)
    check_backups(settings, admin, conn, election)
    return election


def read_checked_election(
    kafka: KafkaSettings, database: DatabaseSettings, admin: AdminClient, *, application: str
) -> Election:
    """Return the election after `check_election`, over a connection that is closed again.

    Raises:
        UnreachableError: The database is unreachable.
        SetupError: As `check_election`.
    """
    with connect(database, application=application) as conn:
        election = check_election(kafka, admin, conn)
    log.info("election", election_id=election.election_id, name=election.name)
    return election


def check_backups(
    settings: KafkaSettings, admin: AdminClient, conn: psycopg.Connection, election: Election
) -> None:
    """Check that neither store is an older backup than the other.

    Raises:
        ElectionError: One is; the message names it.
    """
    topic_id = election.topic_ids[VOTERS.name]
    # Decisions are made before they are published, and on records that exist: each store is read
    # after the one that must not be ahead of it.
    checkpoints = read_checkpoints(settings, admin, election.topic_ids).present
    published_ends = {p: checkpoint.published_end for p, checkpoint in checkpoints.items()}
    check_earlier_decisions(conn, topic_id, published_ends)
    decided_ends = decisions.decided_ends(conn, topic_id, offset_ranges(admin, VOTERS.name))
    log_ends = {p: offsets.end for p, offsets in offset_ranges(admin, VOTERS.name).items()}
    check_decided_records(decided_ends, log_ends)


def check_earlier_decisions(
    conn: psycopg.Connection, topic_id: str, decided_ends: Mapping[int, int]
) -> None:
    """Check that the database is not older than what was decided, or published, before.

    A batch ends with a decided record, so the record before the end of what was decided has a
    decision.

    Args:
        conn: To the database.
        topic_id: Id of `voters_topic`.
        decided_ends: First offset without a decision, by partition; 0 if there is none.

    Raises:
        ElectionError: The last decision on a partition is missing.
    """
    last = {partition: end - 1 for partition, end in decided_ends.items() if end > 0}
    for partition, offset in sorted(decisions.missing_decisions(conn, topic_id, last).items()):
        raise ElectionError(
            "the database is older than what was decided or published, or a checkpoint is forged: "
            f"record {offset} of partition {partition} of voters_topic has no decision",
            _RESTORE,
        )


def check_decided_records(decided_ends: Mapping[int, int], log_ends: Mapping[int, int]) -> None:
    """Check that Kafka is not older than the database.

    Args:
        decided_ends: First offset beyond all decisions in the database, by partition.
        log_ends: The ends of the partitions of `voters_topic`, read after the decisions.

    Raises:
        ElectionError: A record that has a decision is missing.
    """
    for partition, end in sorted(decided_ends.items()):
        if end > log_ends.get(partition, 0):
            raise ElectionError(
                f"Kafka is older than the database, which has a decision on record {end - 1} of "
                f"partition {partition} of voters_topic, which ends at "
                f"{log_ends.get(partition, 0)}",
                _RESTORE,
            )


def check_topic_ids(admin: AdminClient, election: Election, topics: Iterable[TopicSpec]) -> None:
    """Check that topics still have their registered ids: one request, of some milliseconds.

    Raises:
        TopicRecreatedError: A topic was deleted or recreated since the service started.
        KafkaException: The brokers are unreachable.
    """
    try:
        ids = topic_ids(admin, topics, timeout=CHECK_SECONDS)
    except TopicError as error:
        raise TopicRecreatedError(
            f"{error.reason}: it was deleted while the service runs"
        ) from error
    for name, described in recreated_topics(election, ids).items():
        raise TopicRecreatedError(
            f"topic {name} was recreated while the service runs: {described}; stop all services, "
            "then `voting init` registers it"
        )


def check_database_election(conn: psycopg.Connection, election: Election) -> Election:
    """Return the database's election, with its present rules, if it is still the same one.

    Raises:
        ElectionError: It leads to the database of another one.
    """
    stored = read_election(conn)
    if stored is None or stored.election_id != election.election_id:
        found = "no election" if stored is None else f"election {stored}"
        raise ElectionError(f"the database is of {found} now, not of election {election}")
    return stored


def check_rule_options(
    election: Election, draw: DrawSettings, polls: PollSettings | None = None
) -> None:
    """Check that the rules that a service was given, if any, are those of the election.

    Raises:
        InputError: A rule differs; the message names both values.
    """
    rules = election.rules
    given: list[tuple[str, object, object]] = [
        ("draw seed", draw.seed, rules.draw_seed),
        ("draw weights", draw.weights or None, dict(rules.draw_weights)),
    ]
    if polls is not None:
        given.append(("opening of the polls", polls.open, rules.hours.open))
        given.append(("closing of the polls", polls.close, rules.hours.close))
    for what, value, registered in given:
        if value is not None and value != registered:
            raise InputError(
                f"the {what} is {value}, but {registered or 'not set'} in election "
                f"{election.election_id}: `voting init` sets the rules for all services"
            )
