"""The identity of the election: no service and no command works on parts of two elections."""

import os
import pty
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import attrs
import psycopg
import pytest
from confluent_kafka import KafkaError, Producer

from testkit.election import QUICK_CONSUMER, Election, fresh_election
from testkit.other_database import created_database
from testkit.paths import ROOT, SCRIPTS
from testkit.sample_ballots import assert_counted, sample_voters, send_ballots
from testkit.waiting import eventually
from voting_core import topics
from voting_core.database import connect, migrate
from voting_core.database.election import create_election, read_election
from voting_core.election import ElectionChanges, ElectionMode, new_election
from voting_core.kafka import (
    read_published_elections,
    set_config,
)
from voting_core.serialization import encode_voter
from voting_infra import Stack
from voting_infra.ports import free_ports

COMMANDS = {
    "consumer": ["voting-consumer", "run", *QUICK_CONSUMER],
    "producer": ["voting-producer", "run", "--source=synthetic", "--voters=10"],
    "stream": ["voting-stream", "run", "--trigger=available-now"],
    "dashboard": ["voting-dashboard", f"--port={free_ports(1)[0]}"],
    "status": ["voting", "status"],
    "reconcile": ["voting", "reconcile"],
    "certify": ["voting", "certify", "--out=results"],
    "export": ["voting", "export", "--out=results"],
}


@pytest.fixture
def other_database(election: Election) -> Iterator[Election]:
    """The election's Kafka, with the empty but initialised database of another election."""
    with (
        created_database(election.conn, election.database) as database,
        connect(database) as conn,
    ):
        migrate(conn)
        create_election(conn, new_election(datetime.now(UTC)))
        yield attrs.evolve(election, database=database, conn=conn)


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_works_on_the_database_of_another_election(
    election: Election, other_database: Election, command: str
) -> None:
    """It ends with exit code 2 before it reads or writes a record, and names both elections."""
    mine, other = read_election(election.conn), read_election(other_database.conn)
    assert mine is not None
    assert other is not None
    send_ballots(election, sample_voters(5))
    refused = other_database.run(*COMMANDS[command])
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert mine.election_id in refused.stderr
    assert other.election_id in refused.stderr
    assert election.gather_evidence().rejected == {}
    assert other_database.conn.execute("SELECT count(*) FROM rejections").fetchone() == (0,)


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_works_on_a_recreated_topic(election: Election, command: str) -> None:
    """It names the topic; `voting init` registers a topic that was recreated on purpose."""
    election.recreate(topics.VOTERS)
    refused = election.run(*COMMANDS[command])
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert "voters_topic" in refused.stderr
    assert "voting init" in refused.stderr


@pytest.mark.parametrize("topic", topics.ALL_TOPICS, ids=lambda topic: topic.name)
def test_every_recreated_topic_is_noticed(ready: Election, topic: topics.TopicSpec) -> None:
    """Whichever it is; after `voting init` the election goes on."""
    ready.recreate(topic)
    refused = ready.run("voting-consumer", "run", *QUICK_CONSUMER)
    assert refused.returncode == 2, refused.stderr
    assert topic is topics.VOTING_ELECTION or topic.name in refused.stderr
    assert ready.run("voting", "init").returncode == 0
    done = ready.run("voting-consumer", "run", *QUICK_CONSUMER)
    assert done.returncode == 0, done.stderr
    if topic is not topics.VOTERS:
        assert_counted(ready)


def test_a_database_without_an_election_is_refused(election: Election) -> None:
    """It has the tables, and may be that of an earlier version."""
    election.conn.execute("DELETE FROM election")
    import_ = ("voting", "import", "voters", str(ROOT / "docs" / "examples" / "voters.csv"))
    for command in (COMMANDS["consumer"], COMMANDS["status"], import_):
        refused = election.run(*command)
        assert refused.returncode == 2
        assert "the database is of no election" in refused.stderr


def test_init_describes_the_election_in_both_stores(election: Election) -> None:
    """A second call changes nothing; the polling hours can be changed."""
    first = read_election(election.conn)
    assert first is not None
    assert election.run("voting", "init").returncode == 0
    assert read_election(election.conn) == first
    done = election.run("voting", "init", "--polls-close=2100-01-01T00:00:00Z", "--name=Mayor")
    assert done.returncode == 0, done.stderr
    changed = read_election(election.conn)
    assert changed is not None
    assert (changed.election_id, changed.name) == (first.election_id, "Mayor")
    assert changed.rules.hours.close == datetime(2100, 1, 1, tzinfo=UTC)
    published = read_published_elections(election.kafka, election.admin)
    assert published.elections == {first.election_id: changed}


@pytest.mark.parametrize(
    "option", ["--mode=live", "--draw-seed=x", "--begins=2020-01-01T00:00:00Z"]
)
def test_init_does_not_change_what_decisions_depend_on(election: Election, option: str) -> None:
    """The message says what to do instead."""
    refused = election.run("voting", "init", option)
    assert refused.returncode == 2
    assert "voting reset" in refused.stderr


def test_init_refuses_a_cluster_of_another_election(
    election: Election, other_database: Election
) -> None:
    """It would give the topics of one election to another."""
    mine = read_election(election.conn)
    other_database.conn.execute("DELETE FROM election")
    refused = other_database.run("voting", "init")
    assert refused.returncode == 2
    assert mine is not None
    assert mine.election_id in refused.stderr
    assert read_election(other_database.conn) is None


def test_an_interrupted_init_is_completed(election: Election) -> None:
    """It was killed between the two stores."""
    election.conn.execute("UPDATE election SET topic_ids = '{}'")
    assert election.run("voting-consumer", "run", *QUICK_CONSUMER).returncode == 2
    assert election.run("voting", "init").returncode == 0
    assert election.run("voting-consumer", "run", *QUICK_CONSUMER).returncode == 0


def test_an_interrupted_reset_is_repeated(election: Election) -> None:
    """The database comes first, so that no service accepts the topics that remain."""
    election.conn.execute("TRUNCATE election")
    assert election.run("voting-consumer", "run", *QUICK_CONSUMER).returncode == 2
    assert election.run("voting", "init").returncode == 2
    assert election.run("voting", "reset", "--yes").returncode == 0
    assert election.run("voting-consumer", "run", *QUICK_CONSUMER).returncode == 0


def test_a_reset_is_refused_while_a_consumer_runs(ready: Election) -> None:
    """It names what runs, and deletes nothing."""
    child = ready.start("voting-consumer", "run")
    eventually(
        lambda: ready.gather_evidence().rejected.get("underage") == 30, "all ballots are decided"
    )
    refused = ready.run("voting", "reset", "--yes")
    assert refused.returncode == 2, refused.stderr
    assert "voting-consumer" in refused.stderr
    child.stop()
    assert_counted(ready)
    assert ready.run("voting", "reset", "--yes").returncode == 0


def test_a_recreated_topic_is_not_registered_while_a_consumer_runs(ready: Election) -> None:
    """It would go on with the old id; it is paused here, since it would end by itself."""
    child = ready.start("voting-consumer", "run", "--session-timeout=6")
    eventually(
        lambda: ready.gather_evidence().rejected.get("underage") == 30, "all ballots are decided"
    )
    child.pause()
    ready.recreate(topics.REJECTED_VOTES)
    refused = ready.run("voting", "init")
    assert refused.returncode == 2, refused.stderr
    assert "voting-consumer" in refused.stderr
    child.kill()
    assert ready.run("voting", "init").returncode == 0
    ready.consume()
    assert_counted(ready)


@pytest.mark.parametrize("topic", [topics.VOTES, topics.REJECTED_VOTES])
def test_a_recreated_output_topic_with_records_is_not_registered(
    ready: Election, topic: topics.TopicSpec
) -> None:
    """The consumer would publish every decision to it a second time."""
    ready.consume()
    ready.recreate(topic)
    send = Producer({"bootstrap.servers": ready.kafka.bootstrap_servers})
    send.produce(topic.name, b"{}")
    send.flush()
    refused = ready.run("voting", "init")
    assert refused.returncode == 2
    assert "second time" in refused.stderr


@pytest.fixture
def live(stack: Stack, tmp_path: Path) -> Iterator[Election]:
    """A live election without voters."""
    changes = ElectionChanges(mode=ElectionMode.LIVE, name="Mayor of Łódź")
    with fresh_election(stack, tmp_path, changes=changes) as election:
        yield election


def test_no_voters_are_invented_for_a_live_election(live: Election) -> None:
    """The producer refuses, and registers no voter."""
    refused = live.run(*COMMANDS["producer"])
    assert refused.returncode == 2
    assert "live" in refused.stderr
    assert live.conn.execute("SELECT count(*) FROM voters").fetchone() == (0,)


def test_a_live_election_is_deleted_by_its_name_only(live: Election) -> None:
    """`--yes` is not enough."""
    for options in (["--yes"], ["--confirm=Mayor"], ["--yes", "--confirm=Mayor of Lodz"]):
        refused = live.run("voting", "reset", *options)
        assert refused.returncode == 2, refused.stderr
    assert read_election(live.conn) is not None
    assert live.run("voting", "reset", "--confirm=Mayor of Łódź").returncode == 0


@pytest.mark.parametrize(("typed", "code"), [("Mayor", 130), ("Mayor of Łódź", 0)])
def test_the_name_of_a_live_election_is_typed(live: Election, typed: str, code: int) -> None:
    """On a terminal, another name cancels."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [SCRIPTS / "voting", "reset"], env=live.environment(), stdin=follower, stdout=follower
    )
    os.close(follower)
    os.write(leader, f"{typed}\n".encode())
    output = b""
    while process.poll() is None:
        try:
            output += os.read(leader, 1024)
        except OSError:
            break
    os.close(leader)
    assert process.wait(60) == code, output.decode()


def test_the_broker_sets_the_times_of_live_ballots(live: Election) -> None:
    """A sender cannot choose when its ballot was cast."""
    (voter,) = sample_voters(1)
    assert _delivered_at(live, encode_voter(voter), 1_700_000_000_000) > 1_700_000_000_000
    set_config(live.admin, topics.VOTERS, {"message.timestamp.type": "CreateTime"})
    refused = live.run("voting-consumer", "run", *QUICK_CONSUMER)
    assert refused.returncode == 2
    assert "message.timestamp.type" in refused.stderr


@pytest.mark.parametrize("timestamp", [1_700_000_000, 4_000_000_000_000], ids=["1970", "2096"])
def test_the_broker_refuses_times_that_are_far_off(election: Election, timestamp: int) -> None:
    """Seconds in place of milliseconds are a ballot of 1970."""
    (voter,) = sample_voters(1)
    with pytest.raises(AssertionError, match="INVALID_TIMESTAMP"):
        _delivered_at(election, encode_voter(voter), timestamp)


def _delivered_at(election: Election, value: bytes, timestamp: int) -> int:
    """Send a ballot with a timestamp, and return the one that the broker stored."""
    outcome: list[tuple[KafkaError | None, int]] = []
    producer = Producer({"bootstrap.servers": election.kafka.bootstrap_servers})
    producer.produce(
        topics.VOTERS.name,
        value,
        timestamp=timestamp,
        on_delivery=lambda error, message: outcome.append((error, message.timestamp()[1])),
    )
    producer.flush()
    ((error, stored),) = outcome
    assert error is None, error.name()
    return stored


@pytest.mark.parametrize("table", ["incidents", "incident_resolutions"])
@pytest.mark.parametrize(
    "change", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"]
)
def test_evidence_cannot_be_changed(election: Election, table: str, change: str) -> None:
    """Not even by the owner of the table."""
    column = {"incidents": "detail", "incident_resolutions": "note"}[table]
    with pytest.raises(psycopg.errors.RaiseException, match="insert-only"):
        election.conn.execute(change.format(table, column, column))
