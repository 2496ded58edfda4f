"""The diagnosis: from the facts to what is wrong, why, and what to do; pure functions.

Each rule looks at the facts and returns a problem or None. The rules are in the order of their
importance: an election that is not one, then what makes the count wrong, then the causes of a
stall, and last the stalls without another cause. The first problem is the diagnosis.
"""

import enum
import errno
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs

from voting_core import topics
from voting_core.election import agreed_election, recreated_topics
from voting_core.exceptions import ElectionError, ExitCode
from voting_core.kafka import GroupMember
from voting_core.operator.status.backlog import Backlog
from voting_core.operator.status.facts import (
    BrokerFacts,
    ConsumerGroup,
    DatabaseFacts,
    Facts,
    Failure,
    HeldLock,
    LogDirectory,
)
from voting_core.operator.status.pipeline import KafkaStatus
from voting_core.operator.transactions import OpenTransaction

CONSUMER_STALL_SECONDS = 10.0
STREAM_STALL_SECONDS = 15.0
"""Longer than a batch of the stream takes."""

TRANSACTION_SECONDS = 12.0
"""Longer than Kafka lets a transaction of our consumer be open."""

LOCK_SECONDS = 3.0
ROUND_TRIP_SECONDS = 0.5
WRITE_SECONDS = 1.0
QUERY_SECONDS = 5.0

LOW_SPACE_SHARE = 0.05
LOW_SPACE_BYTES = 1024**3
"""A log directory is almost full below both."""


class Kind(enum.StrEnum):
    """The kinds of problems."""

    WRONG_ELECTION = "wrong_election"
    RECREATED_TOPIC = "recreated_topic"
    OLDER_STORE = "older_store"
    NOT_SET_UP = "not_set_up"
    UNPROVEN_TOTALS = "unproven_totals"
    FOREIGN_RECORDS = "foreign_records"
    INCIDENTS = "incidents"
    DISAGREEMENT = "disagreement"
    NO_BROKER = "no_broker"
    NO_DATABASE = "no_database"
    DISK_FULL_KAFKA = "disk_full_kafka"
    DISK_FULL_DATABASE = "disk_full_database"
    NO_LEADER = "no_leader"
    LOCK = "lock"
    OPEN_TRANSACTION = "open_transaction"
    SLOW_DATABASE = "slow_database"
    FENCED_INSTANCE = "fenced_instance"
    NO_CONSUMER = "no_consumer"
    NO_PARTITIONS = "no_partitions"
    FROZEN_CONSUMER = "frozen_consumer"
    FROZEN_STREAM = "frozen_stream"
    UNCHECKED = "unchecked"


_REMEDY = "correct it, then repeat the command"
"""For an error that names none."""

_SETUP = frozenset({Kind.WRONG_ELECTION, Kind.RECREATED_TOPIC, Kind.OLDER_STORE, Kind.NOT_SET_UP})
_WRONG = frozenset({Kind.UNPROVEN_TOTALS, Kind.FOREIGN_RECORDS, Kind.INCIDENTS, Kind.DISAGREEMENT})


@attrs.frozen
class Problem:
    """One thing that is wrong.

    Attributes:
        cause: What is wrong and why, in one sentence without a full stop.
        remedy: What to do, likewise.
    """

    kind: Kind
    cause: str
    remedy: str

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of `voting status` if this is the diagnosis."""
        if self.kind in _SETUP:
            return ExitCode.SETUP
        return ExitCode.FAILURE if self.kind in _WRONG else ExitCode.UNDECIDED

    def __str__(self) -> str:
        return f"{self.cause}: {self.remedy}"

    def as_json(self) -> dict[str, Any]:
        """Return the problem as a JSON object."""
        return attrs.asdict(self)


@attrs.frozen
class Diagnosis:
    """All problems, the most important first; none if the pipeline is well."""

    problems: tuple[Problem, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of `voting status`."""
        return self.problems[0].exit_code if self.problems else ExitCode.OK

    def __str__(self) -> str:
        if not self.problems:
            return "well"
        more = len(self.problems) - 1
        return f"{self.problems[0]}" + (f" (and {more} more)" if more else "")


def diagnose(facts: Facts) -> Diagnosis:
    """Return what is wrong, according to the facts."""
    found: list[Problem] = []
    for rule in _RULES:
        if (problem := rule(facts)) is not None:
            found.append(problem)
    kinds = {problem.kind for problem in found}
    for kind, stalled, causes in (
        (Kind.FROZEN_CONSUMER, _frozen_consumer, _CONSUMER_CAUSES),
        (Kind.FROZEN_STREAM, _frozen_stream, _STREAM_CAUSES),
    ):
        if not kinds & causes and (problem := stalled(facts)) is not None:
            assert problem.kind is kind
            found.append(problem)
    return Diagnosis(tuple(found))


def _wrong_election(facts: Facts) -> Problem | None:
    if not isinstance(facts.kafka, KafkaStatus) or not isinstance(facts.database, DatabaseFacts):
        return None
    if facts.database.election is None and facts.database.problems:
        return None
    try:
        agreed_election(facts.database.election, facts.kafka.elections)
    except ElectionError as error:
        return Problem(Kind.WRONG_ELECTION, error.reason, error.remedy or _REMEDY)
    return None


def _recreated_topic(facts: Facts) -> Problem | None:
    if not isinstance(facts.kafka, KafkaStatus) or not isinstance(facts.database, DatabaseFacts):
        return None
    election = facts.database.election
    if election is None or election.election_id not in facts.kafka.elections:
        return None
    recreated = recreated_topics(election, facts.kafka.topic_ids)
    if not recreated:
        return None
    described = "; ".join(f"{name}: {ids}" for name, ids in recreated.items())
    return Problem(
        Kind.RECREATED_TOPIC,
        f"topics were deleted and recreated ({described})",
        "stop the services, then run `voting init`, which registers them",
    )


def _older_store(facts: Facts) -> Problem | None:
    older = facts.evidence.older_store
    if older is None:
        return None
    return Problem(Kind.OLDER_STORE, older.reason, older.remedy or _REMEDY)


def _not_set_up(facts: Facts) -> Problem | None:
    for half in (facts.database, facts.kafka):
        if isinstance(half, Failure) and half.is_setup:
            return Problem(Kind.NOT_SET_UP, half.reason, half.remedy or _REMEDY)
    return None


def _unproven_totals(facts: Facts) -> Problem | None:
    if not facts.evidence.unproven:
        return None
    described = "; ".join(f"{topic}: {what}" for topic, what in facts.evidence.unproven.items())
    return Problem(
        Kind.UNPROVEN_TOTALS,
        f"totals exceed the accepted votes ({described})",
        "do not publish them; find the client that wrote to the topic, then recreate the aggregate "
        "topics",
    )


def _foreign_records(facts: Facts) -> Problem | None:
    if not isinstance(facts.kafka, KafkaStatus) or not facts.kafka.foreign:
        return None
    return Problem(
        Kind.FOREIGN_RECORDS,
        f"records that the services did not write: {facts.kafka.foreign}",
        "they are not counted; find the client that wrote them, then recreate the topic",
    )


def _incidents(facts: Facts) -> Problem | None:
    incidents = facts.evidence.incidents
    if not incidents:
        return None
    first = incidents[0]
    named = f"incident {first.incident_id} is unresolved"
    if len(incidents) > 1:
        named = f"{len(incidents):,} unresolved incidents, first {first.incident_id}"
    return Problem(
        Kind.INCIDENTS,
        f"{named}: {first.kind} on {first.subject}",
        "`voting incidents` lists them; `voting incidents resolve` records how one was resolved",
    )


def _disagreement(facts: Facts) -> Problem | None:
    kafka, database = facts.kafka, facts.database
    if not isinstance(kafka, KafkaStatus) or not isinstance(database, DatabaseFacts):
        return None
    if database.votes is None or kafka.tallied >= database.votes or kafka.held_back:
        return None
    if not (_is_empty(kafka.undecided) and _is_empty(kafka.untallied)):
        return None
    last = max(kafka.last_decision_at or 0, kafka.tallied_at or 0)
    if facts.at - last < STREAM_STALL_SECONDS:
        return None
    return Problem(
        Kind.DISAGREEMENT,
        f"the aggregates count {kafka.tallied:,} votes, PostgreSQL has {database.votes:,}, and "
        "nothing is in flight",
        "`voting reconcile` names the differences",
    )


def _is_empty(backlog: Backlog) -> bool:
    return not backlog.records and backlog.is_complete


def _no_broker(facts: Facts) -> Problem | None:
    if not isinstance(facts.kafka, Failure) or facts.kafka.is_setup:
        return None
    return Problem(
        Kind.NO_BROKER,
        f"Kafka is unreachable ({facts.kafka.reason})",
        "start the brokers; if one ended, its log says why, such as a full disk",
    )


def _no_database(facts: Facts) -> Problem | None:
    if not isinstance(facts.database, Failure) or facts.database.is_setup:
        return None
    if _full_disk(facts.database) is not None:
        return None
    return Problem(
        Kind.NO_DATABASE,
        f"PostgreSQL is unreachable ({facts.database.reason})",
        "start the server; if it ended, its log says why, such as a full disk",
    )


def _disk_full_kafka(facts: Facts) -> Problem | None:
    for directory in facts.brokers.log_directories or ():
        where = f"log directory {directory.path} of broker {directory.broker}"
        if directory.is_offline:
            return Problem(
                Kind.DISK_FULL_KAFKA,
                f"the {where} is offline",
                "free or replace its disk, then restart the broker",
            )
        if _is_almost_full(directory):
            return Problem(
                Kind.DISK_FULL_KAFKA,
                f"the {where} has {directory.usable:,} bytes left",
                "free or enlarge its disk before the broker ends",
            )
    return None


def _is_almost_full(directory: LogDirectory) -> bool:
    if directory.usable is None or not directory.total:
        return False
    return directory.usable < min(LOW_SPACE_SHARE * directory.total, LOW_SPACE_BYTES)


def _disk_full_database(facts: Facts) -> Problem | None:
    message = _full_disk(facts.database)
    if message is None:
        return None
    return Problem(
        Kind.DISK_FULL_DATABASE,
        f"PostgreSQL has no disk space ({message})",
        "free or enlarge the disk of its data directory; the services continue by themselves",
    )


def _full_disk(database: DatabaseFacts | Failure) -> str | None:
    """Return PostgreSQL's message if it has no disk space.

    A server whose disk is quite full cannot open sessions either. libpq gives no error code for a
    refused session, so that only the operating system's text in the message tells it.
    """
    if isinstance(database, DatabaseFacts):
        return database.disk_full
    return database.reason if os.strerror(errno.ENOSPC) in database.reason else None


def _no_leader(facts: Facts) -> Problem | None:
    if not facts.brokers.leaderless:
        return None
    named = ", ".join(f"{topic} {number}" for topic, number in facts.brokers.leaderless)
    return Problem(
        Kind.NO_LEADER, f"no broker serves {named}", "start the brokers that have these partitions"
    )


def _lock(facts: Facts) -> Problem | None:
    if not isinstance(facts.database, DatabaseFacts):
        return None
    held = [each for each in facts.database.locks if each.seconds >= LOCK_SECONDS]
    if not held:
        return None
    first = held[0]
    holder = "a prepared transaction" if first.holder is None else f"session {first.holder}"
    blocks = "the tables" if first.blocked is None else f"{first.blocked}"
    return Problem(
        Kind.LOCK,
        f"{holder} blocks {blocks} in the database by a {first.what} for {first.seconds:,.0f} s",
        _unlock(first),
    )


def _unlock(lock: HeldLock) -> str:
    if lock.holder is None:
        return "commit it or roll it back; pg_prepared_xacts lists it"
    return f"end its transaction, or SELECT pg_terminate_backend({lock.holder.pid})"


def _open_transaction(facts: Facts) -> Problem | None:
    ours = {member.client_id for group in facts.brokers.groups or () for member in group.members}
    blocking = [
        each
        for each in facts.brokers.open_transactions
        if each.transactional_id not in ours and _is_long(each)
    ]
    if not blocking:
        return None
    first = blocking[0]
    return Problem(
        Kind.OPEN_TRANSACTION,
        f"an open transaction holds back {first}",
        "end the client that opened it; `kafka-transactions.sh abort` ends a hanging one",
    )


def _is_long(transaction: OpenTransaction) -> bool:
    return transaction.seconds is not None and transaction.seconds >= TRANSACTION_SECONDS


def _slow_database(facts: Facts) -> Problem | None:
    database = facts.database
    if not isinstance(database, DatabaseFacts):
        return None
    symptoms = []
    if database.round_trip >= ROUND_TRIP_SECONDS:
        symptoms.append(f"an empty query takes {database.round_trip:.1f} s")
    if database.write_seconds is not None and database.write_seconds >= WRITE_SECONDS:
        symptoms.append(f"a small write takes {database.write_seconds:.1f} s")
    symptoms += [
        f"{each} has waited {each.seconds:,.0f} s for {each.wait or 'a query'}"
        for each in database.services
        if each.state == "active"
        and each.seconds >= QUERY_SECONDS
        and not each.wait.startswith("Lock ")
        and each.application != "voting"
    ]
    if not symptoms:
        return None
    return Problem(
        Kind.SLOW_DATABASE,
        f"PostgreSQL is slow: {'; '.join(symptoms)}",
        "look at its load, its disk and the queries in pg_stat_activity",
    )


def _groups(brokers: BrokerFacts) -> tuple[ConsumerGroup, ...]:
    return tuple(group for group in brokers.groups or () if group.members)


def _fenced_instance(facts: Facts) -> Problem | None:
    for group in _groups(facts.brokers):
        clients = Counter(member.client_id for member in group.members)
        twins = [client for client, number in clients.items() if number > 1]
        if twins and _all_run(group, facts.database):
            hosts = sorted({m.host for m in group.members if m.client_id == twins[0]})
            return Problem(
                Kind.FENCED_INSTANCE,
                f"{clients[twins[0]]} consumers at {', '.join(hosts)} share the instance "
                f"{twins[0].removeprefix(f'{group.name}-')!r} and fence each other off",
                "start each consumer with an --instance of its own",
            )
    return None


def _all_run(group: ConsumerGroup, database: DatabaseFacts | Failure) -> bool:
    """Return whether every member runs; a killed one stays until its session times out."""
    if not isinstance(database, DatabaseFacts):
        return True
    sessions = [each for each in database.services if each.application == "voting-consumer"]
    return len(sessions) >= len(group.members)


def _stalled_partitions(facts: Facts) -> dict[int, tuple[int, float]]:
    """Return the partitions of `voters_topic` without progress: records and seconds."""
    kafka = facts.kafka
    if not isinstance(kafka, KafkaStatus):
        return {}
    stalled = {}
    for each in kafka.undecided.partitions:
        since = max(each.oldest or 0, kafka.decided_at.get(each.partition, 0))
        if facts.at - since >= CONSUMER_STALL_SECONDS:
            stalled[each.partition] = (each.records, facts.at - since)
    return stalled


def _describe_stall(stalled: dict[int, tuple[int, float]]) -> str:
    records = sum(number for number, _ in stalled.values())
    seconds = max(seconds for _, seconds in stalled.values())
    return (
        f"{records:,} records of voters_topic, partition {', '.join(map(str, sorted(stalled)))}, "
        f"have waited without a decision for {seconds:,.0f} s"
    )


def _no_consumer(facts: Facts) -> Problem | None:
    stalled = _stalled_partitions(facts)
    if not stalled or facts.brokers.groups is None or _groups(facts.brokers):
        return None
    if _consumer_sessions(facts):
        # Connected to PostgreSQL, but no member of the group: frozen.
        return None
    return Problem(
        Kind.NO_CONSUMER,
        f"{_describe_stall(stalled)}, and no consumer runs",
        "start voting-consumer",
    )


def _consumer_sessions(facts: Facts) -> list[str]:
    if not isinstance(facts.database, DatabaseFacts):
        return []
    return [str(s) for s in facts.database.services if s.application == "voting-consumer"]


def _no_partitions(facts: Facts) -> Problem | None:
    stalled = _stalled_partitions(facts)
    groups = _groups(facts.brokers)
    if not stalled or not groups:
        return None
    owned = {number for group in groups for m in group.members for number in m.partitions}
    ownerless = sorted(stalled.keys() - owned)
    if not ownerless:
        return None
    members = ", ".join(_described(m) for group in groups for m in group.members)
    states = ", ".join(f"{group.name} is {group.state}" for group in groups)
    return Problem(
        Kind.NO_PARTITIONS,
        f"no consumer is assigned partition {', '.join(map(str, ownerless))} of voters_topic; "
        f"group {states}, with {members}",
        "restart the consumer that does not take part in the rebalance",
    )


def _described(member: GroupMember) -> str:
    return f"{member.client_id} at {member.host}"


def _frozen_consumer(facts: Facts) -> Problem | None:
    stalled = _stalled_partitions(facts)
    if not stalled:
        return None
    owners = [
        _described(member)
        for group in _groups(facts.brokers)
        for member in group.members
        if stalled.keys() & set(member.partitions)
    ]
    who = owners or _consumer_sessions(facts)
    return Problem(
        Kind.FROZEN_CONSUMER,
        f"{_describe_stall(stalled)}: frozen consumer {', '.join(who) or '(unknown)'}",
        "look at its log, then restart it",
    )


def _frozen_stream(facts: Facts) -> Problem | None:
    kafka = facts.kafka
    if not isinstance(kafka, KafkaStatus) or kafka.untallied.oldest is None:
        return None
    seconds = facts.at - max(kafka.untallied.oldest, kafka.tallied_at or 0)
    if seconds < STREAM_STALL_SECONDS:
        return None
    return Problem(
        Kind.FROZEN_STREAM,
        f"{kafka.untallied} votes of {topics.VOTES.name} have waited without a new total for "
        f"{seconds:,.0f} s: the stream is frozen or does not run",
        "look at its log, then start or restart voting-stream",
    )


def _unchecked(facts: Facts) -> Problem | None:
    if isinstance(facts.kafka, Failure) or isinstance(facts.database, Failure):
        return None
    if facts.evidence.is_complete:
        return None
    return Problem(
        Kind.UNCHECKED,
        f"totals and incidents could not be checked ({'; '.join(facts.problems) or 'no reason'})",
        "repeat the command",
    )


_RULES: tuple[Callable[[Facts], Problem | None], ...] = (
    _wrong_election,
    _recreated_topic,
    _older_store,
    _not_set_up,
    _unproven_totals,
    _foreign_records,
    _incidents,
    _disagreement,
    _no_broker,
    _no_database,
    _disk_full_kafka,
    _disk_full_database,
    _no_leader,
    _lock,
    _open_transaction,
    _slow_database,
    _fenced_instance,
    _no_consumer,
    _no_partitions,
    _unchecked,
)
_KAFKA_CAUSES = frozenset(
    {
        Kind.RECREATED_TOPIC,
        Kind.NOT_SET_UP,
        Kind.NO_BROKER,
        Kind.DISK_FULL_KAFKA,
        Kind.NO_LEADER,
        Kind.OPEN_TRANSACTION,
    }
)
_CONSUMER_CAUSES = _KAFKA_CAUSES | {
    Kind.WRONG_ELECTION,
    Kind.OLDER_STORE,
    Kind.NO_DATABASE,
    Kind.DISK_FULL_DATABASE,
    Kind.LOCK,
    Kind.SLOW_DATABASE,
    Kind.FENCED_INSTANCE,
    Kind.NO_CONSUMER,
    Kind.NO_PARTITIONS,
}
_STREAM_CAUSES = _KAFKA_CAUSES | {Kind.WRONG_ELECTION}
