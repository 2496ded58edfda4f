"""The stream in real-time mode: kills inside a batch of minutes, stops, and its heartbeat."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from testkit.checker.consistency import find_problems
from testkit.election import Election
from testkit.processes import log_of
from testkit.running_stream import running_stream, tallied, totals, votes_topic_id
from testkit.sample_ballots import assert_counted, sample_voters, send_ballots
from testkit.transactions import begin_transaction
from testkit.waiting import eventually
from voting_core.database.voter_register import add_voters
from voting_core.topics import VOTES
from voting_infra import Child

REAL_TIME = "--trigger=real-time"
LONG = "--checkpoint-interval=30 minutes"
VOTES_OF_300 = 270
"""Sample ballots that count."""


def java_of(child: Child) -> psutil.Process:
    """Return the Java process of a stream."""
    family = psutil.Process(child.pid).children(recursive=True)
    (java,) = (each for each in family if each.name() == "java")
    return java


def await_real_time(child: Child) -> None:
    """Wait until real-time mode has begun."""
    eventually(lambda: "counting in real time" in log_of(child), "real time", timeout=90)


def vote(election: Election, start: int, end: int) -> None:
    """Let more sample voters vote; nine of ten are of age."""
    voters = sample_voters(end)[start:]
    add_voters(election.conn, voters)
    send_ballots(election, voters)
    election.consume()


def await_tallied(election: Election, votes: int) -> None:
    """Wait until that many votes are counted."""
    topic_id = votes_topic_id(election)
    eventually(lambda: tallied(election, topic_id) == votes, f"{votes} tallied", timeout=90)


@pytest.mark.parametrize("victim", ["all", "Java", "Python"])
def test_totals_are_exact_after_kills_inside_a_batch(ready: Election, victim: str) -> None:
    """By micro-batches, in real time, killed, in real time again, by micro-batches again."""
    ready.consume()
    ready.tally("--checkpoint=tally")
    checkpoint = ("--checkpoint=tally", REAL_TIME, LONG)
    vote(ready, 300, 400)
    with running_stream(ready, *checkpoint) as child:
        await_tallied(ready, 360)
        await_real_time(child)
        vote(ready, 400, 500)
        await_tallied(ready, 450)
        assert "checkpoint written" not in log_of(child)
        java = java_of(child)
        if victim == "all":
            child.kill()
        elif victim == "Java":
            java.kill()
            assert child.wait(60) == 1
            assert "voting-stream: Spark failed" in log_of(child).splitlines()[-1]
        else:
            child.kill_leader()
            eventually(lambda: not java.is_running(), "Java ends without Python")
    with running_stream(ready, *checkpoint) as child:
        await_real_time(child)
        vote(ready, 500, 600)
        await_tallied(ready, 540)
        child.stop(10)
    vote(ready, 600, 700)
    ready.tally("--checkpoint=tally")
    view = totals(ready, votes_topic_id(ready))
    assert set(view.sums().values()) == {630}
    assert view.regressed() == []
    assert find_problems(ready.gather_evidence()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_inside_a_batch_is_a_clean_stop(ready: Election, number: signal.Signals) -> None:
    """Within ten seconds, and the next run counts what the batch had counted, once."""
    ready.consume()
    with running_stream(ready, REAL_TIME, LONG) as child:
        await_tallied(ready, VOTES_OF_300)
        await_real_time(child)
        family = psutil.Process(child.pid).children(recursive=True)
        os.killpg(child.pid, number)
        assert child.wait(10) == 0, log_of(child)
        assert "Traceback" not in log_of(child)
        assert not [each for each in family if each.is_running() and each.status() != "zombie"]
    ready.tally()
    assert_counted(ready)


def test_checkpoints_are_written_while_it_counts(ready: Election) -> None:
    """At each interval, after which the query counts on."""
    ready.consume()
    with running_stream(ready, REAL_TIME, "--checkpoint-interval=5 seconds") as child:
        await_real_time(child)
        vote(ready, 300, 400)
        eventually(lambda: "checkpoint written" in log_of(child), "a checkpoint", timeout=30)
        vote(ready, 400, 500)
        await_tallied(ready, 450)


def test_a_backlog_is_counted_by_micro_batches(ready: Election) -> None:
    """When many votes wait, on the same checkpoint; then real-time mode goes on."""
    ready.consume()
    with running_stream(ready, REAL_TIME, LONG) as child:
        await_real_time(child)
        java_of(child).suspend()
        vote(ready, 300, 60_000)
        java_of(child).resume()
        eventually(lambda: "counting by micro-batches" in log_of(child), "the backlog", timeout=30)
        eventually(
            lambda: log_of(child).count("counting in real time") == 2, "real time again", timeout=90
        )
        vote(ready, 60_000, 60_010)
        await_tallied(ready, 54_009)
        child.stop(10)
    view = totals(ready, votes_topic_id(ready))
    assert set(view.sums().values()) == {54_009}
    assert view.regressed() == []


def test_the_heartbeat_shows_whether_votes_wait(ready: Election, tmp_path: Path) -> None:
    """It goes on while none does, also after an aborted transaction; not while Java hangs."""
    ready.consume()
    heartbeat = tmp_path / "heartbeat"

    def await_beat() -> None:
        heartbeat.unlink(missing_ok=True)
        eventually(heartbeat.exists, "a heartbeat", timeout=90)

    with running_stream(ready, REAL_TIME, LONG, f"--heartbeat={heartbeat}") as child:
        await_real_time(child)
        await_beat()
        producer = begin_transaction(ready.kafka.bootstrap_servers, "other", seconds=60)
        producer.produce(VOTES.name, b"{}", partition=0)
        producer.flush(30)
        producer.abort_transaction(30)
        await_beat()
        await_beat()
        java_of(child).suspend()
        vote(ready, 300, 310)
        heartbeat.unlink(missing_ok=True)
        time.sleep(5)
        assert not heartbeat.exists()
        java_of(child).resume()
        await_beat()


def test_too_few_task_slots_are_named(ready: Election) -> None:
    """With how many are needed, and how many there are."""
    done = ready.run("voting-stream", "run", REAL_TIME, "--master=local[3]")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "real-time mode runs 4 tasks" in last
    assert "local[3] has 3 task slots" in last
