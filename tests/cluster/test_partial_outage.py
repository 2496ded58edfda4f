"""A producer while too few replicas are in sync: brokers answer, but acknowledge no ballot."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from typed_settings import SecretStr

from cluster.kafka_cluster import KafkaCluster
from testkit.election import Election
from testkit.processes import log_of
from testkit.waiting import eventually
from voting_core.database import connect
from voting_core.kafka import connect_admin, read_to_end
from voting_core.service.java import find_java
from voting_core.service.settings import DatabaseSettings, KafkaSettings
from voting_core.topics import VOTERS
from voting_infra import Child, Supervisor
from voting_infra.kafka_libs import resolve_kafka_libs
from voting_infra.postgres import EmbeddedPostgres
from voting_infra.servers import run_together

BALLOTS = 3_000


@pytest.fixture
def kafka(supervisor: Supervisor) -> KafkaCluster:
    """Three nodes, none of which runs yet."""
    java = find_java(os.environ)
    return KafkaCluster(supervisor, java, resolve_kafka_libs(supervisor, java, os.environ))


@pytest.fixture
def election(supervisor: Supervisor, kafka: KafkaCluster, tmp_path: Path) -> Iterator[Election]:
    """An election of which all three brokers must have each record."""
    postgres = EmbeddedPostgres(supervisor)
    run_together((kafka.start, postgres.start_on_free_ports))
    brokers = KafkaSettings(kafka.bootstrap_servers)
    database = DatabaseSettings(SecretStr(postgres.database_url))
    with connect(database) as conn, Supervisor(tmp_path) as services:
        election = Election(brokers, database, connect_admin(brokers), conn, services, tmp_path)
        options = ("--partitions=2", "--replication=3", "--min-insync-replicas=3")
        done = election.run("voting", "init", *options)
        assert done.returncode == 0, done.stderr
        yield election


def sent(election: Election) -> int:
    """The number of ballots on `voters_topic`."""
    return sum(1 for _ in read_to_end(election.kafka, election.admin, VOTERS.name))


def start_producer(election: Election, name: str) -> Child:
    """A producer of the same ballots at a steady rate."""
    options = (f"--voters={BALLOTS}", "--rate=300", "--seed=partial")
    return election.start("voting-producer", "run", *options, name=name)


def test_a_partial_outage_is_logged_and_a_stop_ends_it(
    election: Election, kafka: KafkaCluster
) -> None:
    """When the last broker is back, the same command sends all ballots."""
    stopped = start_producer(election, "stopped")
    eventually(lambda: sent(election) > 0, "a ballot is sent")
    lost = kafka.nodes[-1]
    lost.kill()
    eventually(lambda: "records wait" in log_of(stopped), "the outage is logged", timeout=60)
    os.kill(stopped.pid, signal.SIGTERM)
    assert stopped.wait(15) == 2, log_of(stopped)
    assert "the same command sends them again" in log_of(stopped).splitlines()[-1]
    lost.start()
    again = start_producer(election, "again")
    assert again.wait(60) == 0, log_of(again)
    keys = {m.key() for m in read_to_end(election.kafka, election.admin, VOTERS.name)}
    assert len(keys) == BALLOTS
