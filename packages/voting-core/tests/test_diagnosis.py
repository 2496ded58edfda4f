"""The diagnosis: every kind of problem from the facts that show it."""

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from voting_core.database.incidents import Incident, IncidentKind
from voting_core.election import Election
from voting_core.foreign import ForeignRecord, ForeignRecords
from voting_core.kafka import GroupMember
from voting_core.operator.coverage import CountedPartition, Coverage
from voting_core.operator.status.backlog import Backlog, PartitionBacklog
from voting_core.operator.status.diagnosis import Kind, diagnose
from voting_core.operator.status.facts import (
    BrokerFacts,
    ConsumerGroup,
    DatabaseFacts,
    Evidence,
    Facts,
    Failure,
    HeldLock,
    LogDirectory,
    Session,
)
from voting_core.operator.status.pipeline import KafkaStatus
from voting_core.operator.transactions import OpenTransaction

NOW = 1_000_000.0
ELECTION = Election(
    election_id="mine", began_at=datetime(2024, 1, 1, tzinfo=UTC), topic_ids={"votes_topic": "V"}
)
OTHER = attrs.evolve(ELECTION, election_id="other")
CONSUMER = Session(11, "voting-consumer", "10.0.0.1", "idle", "Client ClientRead", 1.0)
MEMBER = GroupMember("member-a", "voting-consumer-a", "10.0.0.1", (0, 1))
GROUP = ConsumerGroup("voting-consumer", "Stable", (MEMBER,))
KAFKA = KafkaStatus(
    coverage=Coverage({}, "V", (CountedPartition(0, 25, 49),)),
    decided_at={0: NOW - 1, 1: NOW - 1},
    tallied_at=NOW - 1,
    topic_ids={"votes_topic": "V"},
    elections={"mine": ELECTION},
)
BROKERS = BrokerFacts(groups=(GROUP,), log_directories=(LogDirectory(1, "/logs", False, 90, 100),))
DATABASE = DatabaseFacts(
    election=ELECTION,
    registered=30,
    votes=25,
    rejected={},
    round_trip=0.001,
    write_seconds=0.01,
    services=(CONSUMER,),
)
INCIDENT = Incident(
    4, datetime(2024, 1, 1, tzinfo=UTC), IncidentKind.UNPROVEN_TOTALS, "a_topic", "…"
)
WELL = Facts(at=NOW, kafka=KAFKA, brokers=BROKERS, database=DATABASE)


def changed(
    kafka: dict[str, Any] | None = None,
    brokers: dict[str, Any] | None = None,
    database: dict[str, Any] | None = None,
    **facts: Any,
) -> Facts:
    """The facts of a pipeline that is well, with changes."""
    return attrs.evolve(
        WELL,
        kafka=attrs.evolve(KAFKA, **(kafka or {})),
        brokers=attrs.evolve(BROKERS, **(brokers or {})),
        database=attrs.evolve(DATABASE, **(database or {})),
        **facts,
    )


def backlog(seconds: float, partition: int = 0, records: int = 3) -> Backlog:
    """Records of a partition, the oldest of which has waited that long."""
    return Backlog((PartitionBacklog(partition, records, NOW - seconds),))


WAITING = {"undecided": backlog(20), "decided_at": {0: NOW - 20}}
"""Records of partition 0 without a decision for 20 s."""


def kinds(facts: Facts) -> list[Kind]:
    """The kinds of the problems, the most important first."""
    return [problem.kind for problem in diagnose(facts).problems]


def test_a_pipeline_that_works_is_well() -> None:
    """Also while records wait for a moment, and while everything is stopped."""
    assert kinds(WELL) == []
    assert diagnose(WELL).exit_code == 0
    assert str(diagnose(WELL)) == "well"
    busy = {
        "undecided": backlog(300),
        "untallied": backlog(5),
        "held_back": {("votes_topic", 0): 7},
    }
    assert kinds(changed(busy, database={"votes": 28})) == []
    stopped = {"decided_at": {0: NOW - 9_000}, "tallied_at": NOW - 9_000}
    assert kinds(changed(stopped, {"groups": ()}, {"services": ()})) == []


def test_what_has_just_begun_is_no_stall() -> None:
    """A record that waits for less than 10 s, after a long pause, is not stuck."""
    after_pause = {"undecided": backlog(9), "decided_at": {0: NOW - 9_000}}
    assert kinds(changed(after_pause)) == []
    assert kinds(changed({"untallied": backlog(14), "tallied_at": NOW - 9_000})) == []


TABLE = [
    ("frozen consumer", Kind.FROZEN_CONSUMER, changed(WAITING), 3, "voting-consumer-a at 10.0.0.1"),
    (
        # It is no member after its session has timed out, but is still connected.
        "frozen consumer without a session",
        Kind.FROZEN_CONSUMER,
        changed(WAITING, {"groups": ()}),
        3,
        "pid 11",
    ),
    (
        "frozen stream",
        Kind.FROZEN_STREAM,
        changed({"untallied": backlog(20), "tallied_at": NOW - 20}, database={"votes": 28}),
        3,
        "start or restart voting-stream",
    ),
    (
        "stream that never ran",
        Kind.FROZEN_STREAM,
        changed({"untallied": backlog(20), "tallied_at": None}, database={"votes": 28}),
        3,
        "3 votes",
    ),
    (
        "recreated topic",
        Kind.RECREATED_TOPIC,
        changed({"topic_ids": {"votes_topic": "V2"}}),
        2,
        "voting init",
    ),
    (
        "lock that blocks a consumer",
        Kind.LOCK,
        changed(
            database={
                "locks": (
                    HeldLock(
                        Session(99, "psql", "10.0.0.9", "idle in transaction", "", 60.0),
                        CONSUMER,
                        "relation lock",
                        5.0,
                    ),
                )
            }
        ),
        3,
        "pg_terminate_backend(99)",
    ),
    (
        "lock of a prepared transaction",
        Kind.LOCK,
        changed(database={"locks": (HeldLock(None, CONSUMER, "tuple lock", 5.0),)}),
        3,
        "pg_prepared_xacts",
    ),
    (
        "lock on a table, nothing waits",
        Kind.LOCK,
        changed(
            database={
                "locks": (HeldLock(attrs.evolve(CONSUMER, pid=98), None, "ShareLock on votes", 5),)
            }
        ),
        3,
        "ShareLock on votes",
    ),
    (
        "open transaction",
        Kind.OPEN_TRANSACTION,
        changed(
            brokers={
                "open_transactions": (
                    OpenTransaction(
                        topic="votes_topic",
                        partition=1,
                        offset=40,
                        producer_id=7,
                        transactional_id="gateway",
                        seconds=30.0,
                    ),
                )
            }
        ),
        3,
        "votes_topic partition 1 at offset 40 by producer 7 (gateway) for 30 s",
    ),
    (
        "Kafka's disk almost full",
        Kind.DISK_FULL_KAFKA,
        changed(brokers={"log_directories": (LogDirectory(2, "/logs", False, 4, 100),)}),
        3,
        "/logs of broker 2",
    ),
    (
        "Kafka's disk offline",
        Kind.DISK_FULL_KAFKA,
        changed(brokers={"log_directories": (LogDirectory(2, "/logs", True),)}),
        3,
        "offline",
    ),
    (
        "PostgreSQL's disk full",
        Kind.DISK_FULL_DATABASE,
        changed(database={"disk_full": "could not extend file: No space left on device"}),
        3,
        "No space left",
    ),
    (
        "PostgreSQL's disk too full for a session",
        Kind.DISK_FULL_DATABASE,
        attrs.evolve(WELL, database=Failure("FATAL: could not write: No space left on device")),
        3,
        "No space left",
    ),
    (
        "slow round trip",
        Kind.SLOW_DATABASE,
        changed(database={"round_trip": 0.8}),
        3,
        "an empty query takes 0.8 s",
    ),
    ("slow write", Kind.SLOW_DATABASE, changed(database={"write_seconds": 2.0}), 3, "small write"),
    (
        "slow query of a consumer",
        Kind.SLOW_DATABASE,
        changed(
            database={
                "services": (Session(11, "voting-consumer", "h", "active", "Timeout PgSleep", 9.0),)
            }
        ),
        3,
        "PgSleep",
    ),
    (
        "fenced instance",
        Kind.FENCED_INSTANCE,
        changed(
            brokers={"groups": (attrs.evolve(GROUP, members=(MEMBER, MEMBER)),)},
            database={"services": (CONSUMER, attrs.evolve(CONSUMER, pid=12))},
        ),
        3,
        "share the instance 'a'",
    ),
    (
        "no broker",
        Kind.NO_BROKER,
        attrs.evolve(WELL, kafka=Failure("connection refused"), brokers=BrokerFacts()),
        3,
        "connection refused",
    ),
    (
        "no database",
        Kind.NO_DATABASE,
        attrs.evolve(WELL, database=Failure("connection refused")),
        3,
        "connection refused",
    ),
    (
        "no partitions assigned",
        Kind.NO_PARTITIONS,
        changed(
            WAITING,
            {
                "groups": (
                    ConsumerGroup(
                        "voting-consumer",
                        "PreparingRebalance",
                        (attrs.evolve(MEMBER, partitions=()),),
                    ),
                )
            },
        ),
        3,
        "voting-consumer is PreparingRebalance",
    ),
    (
        "no consumer",
        Kind.NO_CONSUMER,
        changed(WAITING, {"groups": ()}, {"services": ()}),
        3,
        "start voting-consumer",
    ),
    (
        "no leader",
        Kind.NO_LEADER,
        changed(brokers={"leaderless": (("votes_topic", 1),)}),
        3,
        "votes_topic 1",
    ),
    (
        "wrong election",
        Kind.WRONG_ELECTION,
        changed({"elections": {"other": OTHER}}),
        2,
        "('Election', rehearsal): check --kafka-bootstrap-servers and --database-url",
    ),
    (
        "database without an election",
        Kind.WRONG_ELECTION,
        changed(database={"election": None}),
        2,
        "of no election",
    ),
    (
        "older store",
        Kind.OLDER_STORE,
        attrs.evolve(
            WELL,
            evidence=Evidence(older_store=Failure("Kafka is older", remedy="restore a backup")),
        ),
        2,
        "Kafka is older: restore a backup",
    ),
    (
        "missing topic",
        Kind.NOT_SET_UP,
        attrs.evolve(WELL, kafka=Failure("topic votes_topic does not exist", is_setup=True)),
        2,
        "votes_topic",
    ),
    (
        "missing schema",
        Kind.NOT_SET_UP,
        attrs.evolve(
            WELL, database=Failure("no tables", is_setup=True, remedy="run `voting init`")
        ),
        2,
        "no tables: run `voting init`",
    ),
    (
        "stores that were set up differently",
        Kind.WRONG_ELECTION,
        changed({"elections": {"mine": attrs.evolve(ELECTION, name="Other")}}),
        2,
        "differently: run `voting init`, with the services stopped",
    ),
    (
        "unproven totals",
        Kind.UNPROVEN_TOTALS,
        attrs.evolve(WELL, evidence=Evidence(unproven={"a_topic": "26 votes of 25"})),
        1,
        "a_topic: 26 votes of 25",
    ),
    (
        "incident",
        Kind.INCIDENTS,
        attrs.evolve(WELL, evidence=Evidence(incidents=(INCIDENT,))),
        1,
        "incident 4 is unresolved: unproven_totals on a_topic",
    ),
    (
        "incidents",
        Kind.INCIDENTS,
        attrs.evolve(WELL, evidence=Evidence(incidents=(INCIDENT, INCIDENT))),
        1,
        "2 unresolved incidents, first 4: unproven_totals on a_topic",
    ),
    (
        "disagreement",
        Kind.DISAGREEMENT,
        changed({"decided_at": {0: NOW - 60}, "tallied_at": NOW - 60}, database={"votes": 26}),
        1,
        "25 votes, PostgreSQL has 26",
    ),
    (
        "totals that were not checked",
        Kind.UNCHECKED,
        attrs.evolve(WELL, evidence=Evidence(is_complete=False, problems=("no response",))),
        3,
        "no response",
    ),
]


@pytest.mark.parametrize(
    ("kind", "facts", "exit_code", "named"),
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_a_problem_is_named(kind: Kind, facts: Facts, exit_code: int, named: str) -> None:
    """It is the only one, with its exit code and what is needed to act on it."""
    diagnosis = diagnose(facts)
    assert [problem.kind for problem in diagnosis.problems] == [kind]
    assert diagnosis.exit_code == exit_code
    assert named in str(diagnosis)
    assert str(diagnosis).count("`voting init`") <= 1


def test_every_kind_is_tested() -> None:
    """No rule is without a test."""
    assert {row[1] for row in TABLE} | {Kind.FOREIGN_RECORDS} == set(Kind)


def test_foreign_records_are_named() -> None:
    """By topic and position."""
    foreign = ForeignRecords()
    foreign.add(ForeignRecord("votes_topic", 1, 17, "not JSON"))
    diagnosis = diagnose(changed({"foreign": foreign}))
    assert [problem.kind for problem in diagnosis.problems] == [Kind.FOREIGN_RECORDS]
    assert diagnosis.exit_code == 1
    assert "1 on votes_topic, first 1@17" in str(diagnosis)


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        (changed(WAITING, database={"disk_full": "full"}), Kind.DISK_FULL_DATABASE),
        (changed(WAITING, database={"round_trip": 2.0}), Kind.SLOW_DATABASE),
        (attrs.evolve(changed(WAITING), database=Failure("gone")), Kind.NO_DATABASE),
        (changed({**WAITING, "topic_ids": {"votes_topic": "V2"}}), Kind.RECREATED_TOPIC),
        (changed(WAITING, {"leaderless": (("voters_topic", 0),)}), Kind.NO_LEADER),
    ],
)
def test_a_stall_with_a_known_cause_is_named_by_the_cause(facts: Facts, cause: Kind) -> None:
    """The consumer waits for it, and is not frozen."""
    assert kinds(facts) == [cause]


def test_one_frozen_consumer_of_two_is_named() -> None:
    """The partitions of the other one make progress."""
    group = attrs.evolve(
        GROUP,
        members=(
            GroupMember("member-a", "voting-consumer-a", "h1", (0,)),
            GroupMember("member-b", "voting-consumer-b", "h2", (1,)),
        ),
    )
    stuck = {"undecided": backlog(20, partition=1), "decided_at": {0: NOW - 1, 1: NOW - 20}}
    diagnosis = diagnose(changed(stuck, {"groups": (group,)}))
    assert [problem.kind for problem in diagnosis.problems] == [Kind.FROZEN_CONSUMER]
    assert "voting-consumer-b at h2" in str(diagnosis)
    assert "voting-consumer-a" not in str(diagnosis)


def test_a_frozen_consumer_does_not_hide_a_frozen_stream() -> None:
    """Both are named, the consumer first."""
    stuck = {**WAITING, "untallied": backlog(30), "tallied_at": NOW - 30}
    assert kinds(changed(stuck, database={"votes": 28})) == [
        Kind.FROZEN_CONSUMER,
        Kind.FROZEN_STREAM,
    ]


def test_a_wrong_count_is_more_important_than_a_stall() -> None:
    """It decides the exit code, and the stall is still named."""
    facts = attrs.evolve(changed(WAITING), evidence=Evidence(unproven={"t": "26 of 25"}))
    diagnosis = diagnose(facts)
    assert kinds(facts) == [Kind.UNPROVEN_TOTALS, Kind.FROZEN_CONSUMER]
    assert diagnosis.exit_code == 1
    assert str(diagnosis).endswith("(and 1 more)")


@pytest.mark.parametrize(
    "transaction",
    [
        OpenTransaction(topic="t", partition=0, offset=1, seconds=11.0),
        OpenTransaction(
            topic="t", partition=0, offset=1, transactional_id="voting-consumer-a", seconds=15.0
        ),
        OpenTransaction(topic="t", partition=0, offset=1),
    ],
    ids=["short", "of a consumer", "of unknown age"],
)
def test_transactions_that_end_by_themselves_are_no_problem(transaction: OpenTransaction) -> None:
    """Kafka ends those of our consumers."""
    assert kinds(changed(brokers={"open_transactions": (transaction,)})) == []


def test_a_killed_consumer_is_no_twin_of_its_successor() -> None:
    """Its session has not timed out yet, but it has no connection to PostgreSQL."""
    twins = {"groups": (attrs.evolve(GROUP, members=(MEMBER, MEMBER)),)}
    assert kinds(changed(brokers=twins)) == []


def test_a_moment_in_a_lock_is_no_problem() -> None:
    """Consumers wait for each other for some milliseconds."""
    lock = HeldLock(attrs.evolve(CONSUMER, pid=12), CONSUMER, "transactionid lock", 0.2)
    assert kinds(changed(database={"locks": (lock,)})) == []


def test_a_large_disk_with_space_is_not_full() -> None:
    """4 % of 10 TB are enough."""
    directory = LogDirectory(1, "/logs", False, 400 * 10**9, 10**13)
    assert kinds(changed(brokers={"log_directories": (directory,)})) == []
    unknown = LogDirectory(1, "/logs", False)
    assert kinds(changed(brokers={"log_directories": (unknown,)})) == []


def test_a_dead_half_leaves_the_other() -> None:
    """With both halves dead, both are named."""
    dead = attrs.evolve(
        WELL,
        kafka=Failure("k"),
        brokers=BrokerFacts(),
        database=Failure("d"),
        evidence=Evidence(is_complete=False),
    )
    assert kinds(dead) == [Kind.NO_BROKER, Kind.NO_DATABASE]
