"""One election on a cluster of processes while some of them are killed.

Three Kafka nodes, a Spark master with two workers, three consumers and two producers. A killed
process stays down, except for the Kafka node, which restarts before the end and has to catch up.
A service that exits by itself is restarted, as by an operator's restart policy; so is the killed
driver of the stream.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import attrs
import pytest
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    TopicPartition,
)
from typed_settings import SecretStr

from cluster.kafka_cluster import KafkaCluster
from cluster.spark_cluster import SparkMaster, SparkWorker
from testkit.checker.exactly_once import check_exactly_once
from testkit.checker.results_file import plain_totals
from testkit.election import QUICK_JAVA, Election
from testkit.paths import US_2020
from testkit.restart_policy import RestartPolicy, Restarts, Service
from testkit.waiting import eventually
from voting_core.database import connect
from voting_core.kafka import connect_admin
from voting_core.service.java import find_java
from voting_core.service.settings import DatabaseSettings, KafkaSettings
from voting_infra import Child, Supervisor
from voting_infra.kafka import EmbeddedKafka
from voting_infra.kafka_libs import resolve_kafka_libs
from voting_infra.postgres import EmbeddedPostgres
from voting_infra.servers import run_together

SCALE = 4000
PARTITIONS = 6
COPIES = 3
RATE = 500
"""Ballots per second of each producer: slow enough that every kill happens amid the count."""

SHUFFLE_PARTITIONS = 2
CORES = PARTITIONS + SHUFFLE_PARTITIONS
"""Of each Spark worker: one worker alone can run all tasks of real-time mode."""

BATCH = 4000
"""Votes per micro-batch of the stream: a tenth of all, so that it is busy for long."""

QUICK_START = f"{QUICK_JAVA} -XX:-UsePerfData"

TIMEOUT_SECONDS = 300.0

await_cluster = partial(eventually, timeout=TIMEOUT_SECONDS, interval=0.2)


@attrs.frozen
class Cluster:
    """The servers that the services run on."""

    kafka: KafkaCluster
    postgres: EmbeddedPostgres
    master: SparkMaster
    workers: tuple[SparkWorker, SparkWorker]


@pytest.fixture
def cluster(supervisor: Supervisor) -> Cluster:
    """Kafka, PostgreSQL and Spark, all up; the supervisor ends them."""
    java = find_java(os.environ)
    kafka = KafkaCluster(supervisor, java, resolve_kafka_libs(supervisor, java, os.environ))
    postgres = EmbeddedPostgres(supervisor)
    master = SparkMaster(supervisor)
    workers = (
        SparkWorker(supervisor, master, 1, cores=CORES),
        SparkWorker(supervisor, master, 2, cores=CORES),
    )
    run_together((kafka.start, postgres.start_on_free_ports, master.start_on_free_ports))
    run_together(worker.start_on_free_ports for worker in workers)
    return Cluster(kafka, postgres, master, workers)


@pytest.fixture
def election(cluster: Cluster, tmp_path: Path) -> Iterator[Election]:
    """A fresh election on the cluster, set up by the operator's command."""
    kafka = KafkaSettings(cluster.kafka.bootstrap_servers)
    database = DatabaseSettings(SecretStr(cluster.postgres.database_url))
    with connect(database) as conn, Supervisor(tmp_path) as services:
        election = Election(kafka, database, connect_admin(kafka), conn, services, tmp_path)
        done = election.run(
            "voting",
            *("init", f"--partitions={PARTITIONS}", f"--replication={COPIES}"),
            "--min-insync-replicas=2",
        )
        assert done.returncode == 0, done.stderr
        yield election


class CountedVotes:
    """Follows the number of votes that the stream has counted."""

    def __init__(self, election: Election) -> None:
        self._totals: dict[bytes | None, int] = {}
        self._consumer = Consumer(
            {
                "bootstrap.servers": election.kafka.bootstrap_servers,
                "group.id": "counted-votes",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )
        self._consumer.assign([TopicPartition("aggregated_progress", 0, OFFSET_BEGINNING)])

    def reach(self, votes: int) -> None:
        """Wait until that many votes are counted."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while (counted := sum(self._totals.values())) < votes:
            assert time.monotonic() < deadline, f"{counted} counted, {votes} awaited"
            message = self._consumer.poll(1.0)
            if message is None:
                continue
            error = message.error()
            assert error is None or error.retriable(), error.str()
            if error is None:
                total = json.loads(message.value() or b"")["total_votes"]
                self._totals[message.key()] = max(total, self._totals.get(message.key(), 0))

    def close(self) -> None:
        """Disconnect from Kafka."""
        self._consumer.close()


@pytest.fixture
def counted(election: Election) -> Iterator[CountedVotes]:
    """The number of counted votes."""
    counted = CountedVotes(election)
    yield counted
    counted.close()


def stored(election: Election) -> Counter[tuple[str, str]]:
    """The rows of the table `votes` by candidate's name and state."""
    rows = election.conn.execute(
        "SELECT candidate_name, state, count(*) FROM votes JOIN candidates USING (candidate_id)"
        " GROUP BY candidate_name, state"
    )
    return Counter({(name, state): count for name, state, count in rows})


def leader(election: Election, cluster: Cluster, topic: str) -> EmbeddedKafka:
    """The node that leads a topic's first partition."""
    found = election.admin.list_topics(topic, timeout=30).topics[topic].partitions[0].leader
    return next(node for node in cluster.kafka.nodes if node.node_id == found)


def copies_in_sync(election: Election) -> set[int]:
    """The numbers of in-sync replicas over all partitions of all topics."""
    topics = election.admin.list_topics(timeout=30).topics.values()
    return {len(partition.isrs) for topic in topics for partition in topic.partitions.values()}


@pytest.fixture(params=["real-time", "1 second"])
def services(
    election: Election, cluster: Cluster, request: pytest.FixtureRequest
) -> Iterator[list[Service]]:
    """The stream, with each kind of trigger, and three consumers in one group."""
    restarts = Restarts()
    stream = election.command(
        "voting-stream",
        *("run", f"--master={cluster.master.url}"),
        f"--checkpoint={election.directory / 'shared' / 'checkpoint'}",
        f"--trigger={request.param}",
        f"--max-offsets-per-trigger={BATCH}",
        f"--shuffle-partitions={SHUFFLE_PARTITIONS}",
        "--spark-conf=spark.executor.memory=512m",
        f"--spark-conf=spark.driver.extraJavaOptions={QUICK_START}",
        f"--spark-conf=spark.executor.extraJavaOptions={QUICK_START}",
    )
    # A consumer updates its heartbeat once it is a member of the group.
    heartbeats = {name: election.directory / f"heartbeat-{name}" for name in ("a", "b", "c")}
    consumers = [
        election.command(
            "voting-consumer",
            *("run", f"--instance={name}", "--session-timeout=6", "--batch-size=500"),
            f"--heartbeat={heartbeat}",
            name=f"voting-consumer-{name}",
        )
        for name, heartbeat in heartbeats.items()
    ]
    services = [Service(election.supervisor, each, restarts) for each in (stream, *consumers)]
    for service in services:
        service.start()
    restart_policy = RestartPolicy(election.supervisor, services)
    try:
        await_cluster(
            lambda: all(heartbeat.exists() for heartbeat in heartbeats.values()),
            "each consumer has joined the group",
        )
        await_cluster(
            lambda: cluster.master.cores_used() == 2 * CORES, "an executor on each Spark worker"
        )
        yield services
    finally:
        restart_policy.close()
        for row in restarts.rows():
            print(row)


def start_producer(election: Election, part: str) -> Child:
    """Start a producer of one slice of the election."""
    return election.start(
        "voting-producer",
        *("run", f"--results={US_2020}", f"--scale={SCALE}", f"--rate={RATE}", f"--slice={part}"),
        name=f"voting-producer-{part.partition('/')[0]}",
    )


def test_the_count_is_exact_while_parts_of_the_cluster_die(
    cluster: Cluster, election: Election, services: list[Service], counted: CountedVotes
) -> None:
    """A Kafka node, a consumer, a Spark worker and the driver die amid the count: it is exact."""
    stream, *consumers = services
    expected = plain_totals(US_2020, SCALE)
    votes = expected.total()
    await_cluster(lambda: copies_in_sync(election) == {COPIES}, "all copies are complete")
    first = start_producer(election, "1/2")
    counted.reach(1)
    # By now every service works; all kills follow votes of the first half.
    second = start_producer(election, "2/2")

    await_cluster(lambda: stored(election).total() > votes * 0.55, "55% of the votes are stored")
    node = leader(election, cluster, "voting_progress")
    node.kill()

    await_cluster(lambda: stored(election).total() > votes * 0.65, "65% of the votes are stored")
    consumers[0].kill_without_restart()

    counted.reach(int(votes * 0.7))
    cluster.workers[0].kill()
    await_cluster(
        lambda: len(cluster.master.workers()) == 1,
        "Spark's master has noticed that a worker is gone",
    )

    counted.reach(int(votes * 0.8))
    stream.kill()

    counted.reach(int(votes * 0.85))
    node.start()

    counted.reach(votes)
    for producer in (first, second):
        assert producer.wait(TIMEOUT_SECONDS) == 0, producer.log_path.read_text()
    await_cluster(lambda: copies_in_sync(election) == {COPIES}, "the Kafka node has caught up")

    verdict = check_exactly_once(election.gather_evidence(), expected)
    assert verdict.problems == []
    assert (verdict.accepted, verdict.rejected) == (votes, {})
    done = election.run("voting", "reconcile", "--deep")
    assert done.returncode == 0, done.stdout + done.stderr
