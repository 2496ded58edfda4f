"""The producer during outages of Kafka and PostgreSQL."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from testkit.checker.kafka_topics import read_topic
from testkit.election import Election
from testkit.processes import log_of
from testkit.waiting import eventually
from voting_infra import Child, Stack

BALLOTS = 3_000
RATE = 500
SERVERS = ["kafka", "postgres"]


@pytest.fixture
def sending(election: Election) -> Child:
    """A producer that has begun to send at a steady rate."""
    child = election.start(
        "voting-producer", "run", f"--voters={BALLOTS}", f"--rate={RATE}", "--seed=faults"
    )
    eventually(lambda: bool(sent_ids(election)), "a ballot is sent")
    return child


def sent_ids(election: Election) -> list[str]:
    """Return the voter_ids of the ballots on `voters_topic`."""
    records = read_topic(election.kafka.bootstrap_servers, "voters_topic")
    return [key.decode() for key, _ in records if key is not None]


def registered_ids(election: Election) -> set[str]:
    """Return the voter_ids of the register."""
    with psycopg.connect(str(election.database.url)) as conn:
        return {row[0] for row in conn.execute("SELECT voter_id FROM voters")}


@contextmanager
def outage(stack: Stack, server: str, child: Child) -> Iterator[None]:
    """Stop a server, wait until the producer has noticed, and start the server after the block."""
    stopped = stack.kafka if server == "kafka" else stack.postgres
    stopped.stop()
    try:
        eventually(lambda: '"unavailable"' in log_of(child), "the outage is logged")
        yield
    finally:
        stopped.start()


@pytest.mark.parametrize("server", SERVERS)
def test_an_outage_is_waited_out(
    election: Election, sending: Child, stack: Stack, server: str
) -> None:
    """Each ballot is sent once, its voter is registered, and the log has both ends."""
    with outage(stack, server, sending):
        assert sending.returncode is None
    assert sending.wait(60) == 0, log_of(sending)
    assert "available again" in log_of(sending)
    ids = sent_ids(election)
    assert len(ids) == len(set(ids)) == BALLOTS
    assert set(ids) <= registered_ids(election)


@pytest.mark.parametrize("server", SERVERS)
def test_a_signal_ends_the_wait_for_a_server(
    election: Election, sending: Child, stack: Stack, server: str
) -> None:
    """Within seconds and without a traceback; the same command completes the election."""
    with outage(stack, server, sending):
        began = time.monotonic()
        os.kill(sending.pid, signal.SIGTERM)
        assert sending.wait(30) != 0
        assert time.monotonic() - began < 15
        assert "Traceback" not in log_of(sending)
    again = election.run("voting-producer", "run", f"--voters={BALLOTS}", "--seed=faults")
    assert again.returncode == 0, again.stderr
    ids = set(sent_ids(election))
    assert len(ids) == BALLOTS
    assert ids <= registered_ids(election)
