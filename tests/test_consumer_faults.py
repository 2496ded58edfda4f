"""The consumer among recreated topics, swapped databases, twins and outages."""

import os
import signal
import time
from datetime import UTC, datetime

import attrs
import psycopg
import pytest
from confluent_kafka import Producer

from testkit.consumer_faults import paused_consumer
from testkit.election import QUICK_CONSUMER, Election
from testkit.kill_points import POINTS
from testkit.processes import log_of
from testkit.sample_ballots import (
    assert_counted,
    sample_voters,
    send_ballots,
    send_sample_ballots,
)
from testkit.totals import append, write_totals
from testkit.waiting import eventually
from voting_core import topics
from voting_core.checkpoint import OutputPosition, PartitionCheckpoint, encode_checkpoint
from voting_core.database.voter_register import add_voters
from voting_core.election import new_election
from voting_core.kafka import delete_topics, read_to_end, topic_ids
from voting_infra import Child, Stack

SAMPLES = 270
"""Sample ballots that count."""


def records(election: Election, topic: topics.TopicSpec) -> int:
    """Return the number of records."""
    return sum(1 for _ in read_to_end(election.kafka, election.admin, topic.name))


def accepted(election: Election) -> int:
    """Return the number of accepted votes."""
    row = election.conn.execute("SELECT count(*) FROM votes").fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
def counting(ready: Election) -> tuple[Election, Child]:
    """A consumer that has decided on the sample ballots and waits for more."""
    child = ready.start("voting-consumer", "run", "--session-timeout=6")
    eventually(lambda: records(ready, topics.VOTES) == SAMPLES, "the ballots are published")
    return ready, child


@pytest.mark.parametrize(
    "topic",
    [topics.VOTERS, topics.VOTES, topics.REJECTED_VOTES, topics.VOTING_PROGRESS],
    ids=lambda topic: topic.name,
)
def test_a_topic_recreated_under_the_consumer_ends_it(
    counting: tuple[Election, Child], topic: topics.TopicSpec
) -> None:
    """With exit code 1 and its name, before another record is decided or published."""
    election, child = counting
    before = accepted(election)
    election.recreate(topic)
    add_voters(election.conn, sample_voters(330)[300:])
    send_ballots(election, sample_voters(330)[300:])
    assert child.wait(60) == 1
    assert f"topic {topic.name}" in log_of(child).splitlines()[-1]
    if topic is topics.VOTERS:
        assert accepted(election) == before
    elif topic is not topics.VOTING_PROGRESS:
        assert records(election, topic) == 0


def test_every_vote_is_published_once_on_a_recreated_topic(
    counting: tuple[Election, Child],
) -> None:
    """After `voting init` the consumer fills it; what arrived meanwhile is in it once."""
    election, child = counting
    election.recreate(topics.VOTES)
    add_voters(election.conn, sample_voters(330)[300:])
    send_ballots(election, sample_voters(330)[300:])
    assert child.wait(60) == 1
    election.set_up()
    election.consume()
    voters = [m.key() for m in read_to_end(election.kafka, election.admin, topics.VOTES.name)]
    assert len(voters) == len(set(voters)) == accepted(election) == SAMPLES + 27


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("topic", [topics.VOTERS, topics.VOTES], ids=lambda topic: topic.name)
def test_a_topic_recreated_while_the_consumer_is_paused(
    ready: Election, topic: topics.TopicSpec, point: str
) -> None:
    """At any step: it ends, and nothing of its batch is on or from the new topic."""
    old = topic_ids(ready.admin, [topics.VOTERS])[topics.VOTERS.name]
    with paused_consumer(ready, point, "--batch-size=20") as process:
        ready.recreate(topic)
        if topic is topics.VOTERS:
            send_ballots(ready, sample_voters(300))
        process.send_signal(signal.SIGCONT)
        _, log = process.communicate(timeout=90)
        assert process.returncode == 1, log
        assert f"topic {topic.name}" in log.splitlines()[-1], log
    if topic is topics.VOTES:
        assert records(ready, topics.VOTES) == 0
        ready.set_up()
        ready.consume()
        assert_counted(ready)
        return
    rows = ready.conn.execute("SELECT DISTINCT source_topic_id FROM votes").fetchall()
    assert rows in ([], [(old,)])
    decided = ready.conn.execute("SELECT count(*) FROM votes").fetchone()
    # The batches that were read before the topic was recreated: one polled, two in flight.
    assert decided is not None
    assert decided[0] <= 3 * 20


def test_a_reset_is_refused_and_the_consumer_goes_on(counting: tuple[Election, Child]) -> None:
    """It would empty the tables and recreate every topic under it."""
    election, child = counting
    refused = election.run("voting", "reset", "--yes")
    assert refused.returncode == 2
    assert "voting-consumer" in refused.stderr
    assert child.returncode is None
    assert_counted(election)


def test_a_swapped_database_gets_no_decision(counting: tuple[Election, Child]) -> None:
    """A failover or a proxy leads the same address to the database of another election."""
    election, child = counting
    other = new_election(datetime.now(UTC))
    election.conn.execute("UPDATE election SET election_id = %s", (other.election_id,))
    before = accepted(election)
    add_voters(election.conn, sample_voters(330)[300:])
    send_ballots(election, sample_voters(330)[300:])
    assert child.wait(60) == 2
    assert other.election_id in log_of(child).splitlines()[-1]
    assert accepted(election) == before


def lose_newest_decisions(election: Election) -> None:
    """Make the database as an older backup is."""
    for table in ("votes", "rejections"):
        election.conn.execute(f"DELETE FROM {table} WHERE source_offset >= 100".encode())


def test_a_database_that_becomes_older_gets_no_decision(counting: tuple[Election, Child]) -> None:
    """It was restored while the consumer ran; the next batch finds that."""
    election, child = counting
    lose_newest_decisions(election)
    before = accepted(election)
    add_voters(election.conn, sample_voters(330)[300:])
    send_ballots(election, sample_voters(330)[300:])
    assert child.wait(60) == 2
    assert "older" in log_of(child).splitlines()[-1]
    assert accepted(election) == before


@pytest.mark.parametrize("command", [("voting-consumer", "run"), ("voting", "status")], ids=str)
def test_an_older_database_is_refused_at_the_start(
    ready: Election, command: tuple[str, ...]
) -> None:
    """With the remedy."""
    ready.consume()
    lose_newest_decisions(ready)
    refused = ready.run(*command)
    assert refused.returncode == 2, refused.stderr
    assert "the database is older" in refused.stderr
    assert "recover.md" in refused.stderr


def test_an_older_cluster_is_refused_at_the_start(ready: Election) -> None:
    """New ballots would take the offsets of decided ones, and be ignored without a trace."""
    ready.consume()
    ready.conn.execute("UPDATE votes SET source_offset = source_offset + 1000000")
    ready.conn.execute("UPDATE rejections SET source_offset = source_offset + 1000000")
    ready.conn.execute(
        "UPDATE votes SET source_offset = source_offset - 1000000 WHERE voter_id < 'v00280'"
    )
    delete_topics(ready.admin, [topics.VOTING_PROGRESS, topics.VOTES, topics.REJECTED_VOTES])
    ready.set_up()
    refused = ready.run("voting-consumer", "run", *QUICK_CONSUMER)
    assert refused.returncode == 2, refused.stderr
    assert "Kafka is older" in refused.stderr


def test_a_restored_backup_is_completed_as_the_guide_says(ready: Election) -> None:
    """The database is a real backup: a copy of the database from before the newest decisions."""
    ready.consume()
    backup, name = "backup", "voting"
    ready.conn.execute(f"DROP DATABASE IF EXISTS {backup}")
    maintenance = f"{str(ready.database.url).rpartition('/')[0]}/postgres"
    ready.conn.close()
    with psycopg.connect(maintenance, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {backup} TEMPLATE {name}")
    later = sample_voters(330)[300:]
    with psycopg.connect(str(ready.database.url), autocommit=True) as conn:
        add_voters(conn, later)
        send_ballots(ready, later)
        ready.consume()
    with psycopg.connect(maintenance, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)")
        conn.execute(f"CREATE DATABASE {name} TEMPLATE {backup}")
        conn.execute(f"DROP DATABASE {backup}")
    refused = ready.run("voting-consumer", "run", *QUICK_CONSUMER)
    assert refused.returncode == 2, refused.stderr
    with psycopg.connect(str(ready.database.url), autocommit=True) as conn:
        add_voters(conn, later)
        delete_topics(ready.admin, [topics.VOTING_PROGRESS, topics.VOTES, topics.REJECTED_VOTES])
        assert ready.run("voting", "init").returncode == 0
        ready.consume()
        restored = attrs.evolve(ready, conn=conn)
        assert accepted(restored) == records(restored, topics.VOTES) == SAMPLES + 27


def test_the_second_consumer_of_an_instance_is_named(election: Election) -> None:
    """The one that ends says what to do about it; the other counts everything."""
    command = ("voting-consumer", "run", "--session-timeout=6")
    first = election.start(*command, name="first")
    eventually(lambda: "resuming" in log_of(first), "it has partitions")
    second = election.start(*command, name="second")
    eventually(
        lambda: "resuming" in log_of(second) or "partitions revoked" in log_of(first), "it joins"
    )
    send_sample_ballots(election)
    eventually(lambda: first.returncode == 1 or second.returncode == 1, "one ends")
    ended, other = (first, second) if first.returncode == 1 else (second, first)
    assert "--instance" in log_of(ended).splitlines()[-1]
    eventually(lambda: records(election, topics.VOTES) == SAMPLES, "all ballots are published")
    assert other.returncode is None
    assert_counted(election)


@pytest.mark.parametrize("seconds", [3, 75], ids=["short", "long"])
def test_an_outage_of_kafka_is_waited_out(
    counting: tuple[Election, Child], stack: Stack, seconds: float
) -> None:
    """Also longer than the transaction and session timeouts; with few lines in the log."""
    election, child = counting
    before = len(log_of(child).splitlines())
    stack.kafka.stop()
    eventually(lambda: '"unavailable"' in log_of(child), "the outage is logged")
    time.sleep(seconds)
    assert child.returncode is None
    stack.kafka.start()
    add_voters(election.conn, sample_voters(330)[300:])
    send_ballots(election, sample_voters(330)[300:])
    eventually(lambda: records(election, topics.VOTES) == SAMPLES + 27, "all are published")
    assert "available again" in log_of(child)
    assert child.returncode is None
    assert len(log_of(child).splitlines()) - before < 30, log_of(child)


def test_kafka_away_within_a_batch_is_waited_out(ready: Election, stack: Stack) -> None:
    """The transaction times out meanwhile, and Kafka fences off its producer."""
    with paused_consumer(ready, "records produced") as process:
        stack.kafka.stop()
        process.send_signal(signal.SIGCONT)
        time.sleep(20)
        assert process.poll() is None
        stack.kafka.start()
        _, log = process.communicate(timeout=120)
        assert process.returncode == 0, log
    assert_counted(ready)


def test_an_outage_of_postgresql_is_waited_out(
    counting: tuple[Election, Child], stack: Stack
) -> None:
    """A ballot arrives while it is away."""
    election, child = counting
    add_voters(election.conn, sample_voters(330)[300:])
    stack.postgres.stop()
    send_ballots(election, sample_voters(330)[300:])
    eventually(lambda: '"unavailable"' in log_of(child), "the outage is logged")
    time.sleep(10)
    assert child.returncode is None
    stack.postgres.start()
    eventually(lambda: records(election, topics.VOTES) == SAMPLES + 27, "all are published")
    assert "available again" in log_of(child)


@pytest.mark.parametrize("server", ["kafka", "postgres"])
def test_a_signal_ends_the_wait_for_a_server(
    counting: tuple[Election, Child], stack: Stack, server: str
) -> None:
    """Within seconds, with exit code 0 or that of the outage, and without a traceback."""
    election, child = counting
    stopped = stack.kafka if server == "kafka" else stack.postgres
    if server == "postgres":
        send_ballots(election, sample_voters(330)[300:])
    stopped.stop()
    try:
        if server == "postgres":
            send_ballots(election, sample_voters(310)[300:])
        eventually(lambda: '"unavailable"' in log_of(child), "the outage is logged")
        began = time.monotonic()
        os.kill(child.pid, signal.SIGTERM)
        assert child.wait(30) == 0, log_of(child)
        assert time.monotonic() - began < 15
        assert "Traceback" not in log_of(child)
    finally:
        stopped.start()


def test_a_foreign_record_on_voting_progress_is_skipped(ready: Election) -> None:
    """It is logged with its position, and the count goes on."""
    producer = Producer({"bootstrap.servers": ready.kafka.bootstrap_servers})
    producer.produce(topics.VOTING_PROGRESS.name, b"{}", b"x")
    assert producer.flush(30) == 0
    done = ready.run("voting-consumer", "run", *QUICK_CONSUMER)
    assert done.returncode == 0, done.stderr
    assert "skipped foreign records" in done.stderr
    assert "0@0" in done.stderr
    assert_counted(ready)


@pytest.mark.parametrize(
    ("votes_id", "rejected_id"), [(None, None), ("forged", "forged")], ids=["present", "unknown"]
)
def test_a_forged_checkpoint_publishes_nothing_twice(
    ready: Election, votes_id: str | None, rejected_id: str | None
) -> None:
    """Neither one that goes back, nor one of topics that never were."""
    ready.consume()
    ids = topic_ids(ready.admin, [topics.VOTERS, topics.VOTES, topics.REJECTED_VOTES])
    for partition in range(2):
        forged = PartitionCheckpoint(
            ids[topics.VOTERS.name],
            partition,
            OutputPosition(votes_id or ids[topics.VOTES.name], 0),
            OutputPosition(rejected_id or ids[topics.REJECTED_VOTES.name], 0),
        )
        append(ready, topics.VOTING_PROGRESS.name, forged.key, encode_checkpoint(forged))
    ready.consume()
    assert records(ready, topics.VOTES) == SAMPLES
    assert_counted(ready)
    write_totals(ready)
    found = ready.run("voting", "reconcile", "--timeout=0.2")
    assert found.returncode == 1, found.stderr
    assert "of voting_progress" in found.stdout
    refused = ready.run("voting", "certify", "--out=bundle")
    assert refused.returncode == 1, refused.stderr
    assert "2 on voting_progress" in refused.stderr


def test_a_second_consumer_group_is_refused(counting: tuple[Election, Child]) -> None:
    """Each group reads every ballot; the group changes only while no consumer runs."""
    election, child = counting
    other = ("voting-consumer", "run", "--group=other", *QUICK_CONSUMER)
    change = ("voting", "init", "--consumer-group=other")
    refused = election.run(*other)
    assert refused.returncode == 2, refused.stderr
    assert "'voting-consumer'" in refused.stderr
    assert "--consumer-group" in refused.stderr
    early = election.run(*change)
    assert early.returncode == 2, early.stderr
    assert child.returncode is None
    child.stop()
    done = election.run(*change)
    assert done.returncode == 0, done.stderr
    done = election.run(*other)
    assert done.returncode == 0, done.stderr
    assert records(election, topics.VOTES) == SAMPLES
    assert election.run("voting-consumer", "run", *QUICK_CONSUMER).returncode == 2
