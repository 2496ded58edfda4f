"""One election on several machines' worth of processes, while some of them are killed.

Three Kafka nodes, a Spark master with two workers, three consumers and two producers. What is
killed stays down, except for the Kafka node, which comes back before the end and has to catch up.
A service that ends by itself is started again, as by an operator's restart policy.
"""

import csv
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest
from chaos.restart_policy import RestartPolicy, Restarts, Service
from checker import examine, read_topic
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from conftest import US_2020, Election
from kafka_cluster import KafkaCluster
from spark_cluster import SparkMaster, SparkWorker
from typed_settings import SecretStr

from voting_core.database import connect
from voting_core.kafka import connect_admin
from voting_core.service.java import find_java
from voting_core.service.settings import DatabaseSettings, KafkaSettings
from voting_infra import Child, Supervisor
from voting_infra.kafka import EmbeddedKafka
from voting_infra.kafka_libs import resolve_kafka_libs
from voting_infra.postgres import EmbeddedPostgres

SCALE = 4000
PARTITIONS = 6
COPIES = 3
RATE = 500
"""Ballots that each producer sends a second: slow enough that every kill comes amid the count."""

BATCH = 4000
"""Votes that the stream counts at a time: a tenth of all, so that it is long underway."""

# The test is over before the better code of the second compiler would pay.
QUICK_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData"

TIMEOUT_SECONDS = 300.0


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {TIMEOUT_SECONDS:.0f} s: {what}"
        time.sleep(0.2)


@attrs.frozen
class Cluster:
    """Everything that the services run on."""

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
    workers = (SparkWorker(supervisor, master, 1), SparkWorker(supervisor, master, 2))

    def all_at_once(*starts: Callable[[], None]) -> None:
        with ThreadPoolExecutor() as threads:
            for started in [threads.submit(start) for start in starts]:
                started.result()

    all_at_once(kafka.start, postgres.start_on_free_ports, master.start_on_free_ports)
    all_at_once(*(worker.start_on_free_ports for worker in workers))
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
    """Follows how many votes the stream says that it has counted."""

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
        """Wait until so many are counted."""
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
        """Let go of Kafka."""
        self._consumer.close()


@pytest.fixture
def counted(election: Election) -> Iterator[CountedVotes]:
    """How far the count is."""
    counted = CountedVotes(election)
    yield counted
    counted.close()


def plain_totals(path: Path, scale: int) -> Counter[tuple[str, str]]:
    """Each candidate's votes in a state, added up and then divided whole."""
    totals: Counter[tuple[str, str]] = Counter()
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            totals[row["candidate"], row["state"]] += int(row["candidatevotes"])
    return +Counter({key: votes // scale for key, votes in totals.items()})


def aggregated(election: Election) -> Counter[tuple[str, str]]:
    """The stream's highest total of each candidate's name in each state."""

    def records(topic: str) -> list[dict[str, str | int]]:
        return [json.loads(v) for _, v in read_topic(election.kafka.bootstrap_servers, topic)]

    names = {
        row["candidate_id"]: str(row["candidate_name"])
        for row in records("aggregated_votes_per_candidate")
    }
    totals: Counter[tuple[str, str]] = Counter()
    for row in records("aggregated_votes_per_candidate_by_location"):
        key = (names[row["candidate_id"]], str(row["state"]))
        totals[key] = max(totals[key], int(row["total_votes"]))
    return totals


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
    """How many copies of a partition are complete, over all partitions of all topics."""
    topics = election.admin.list_topics(timeout=30).topics.values()
    return {len(partition.isrs) for topic in topics for partition in topic.partitions.values()}


@pytest.fixture
def consumers(election: Election, cluster: Cluster) -> Iterator[list[Service]]:
    """Three consumers, beside the stream, all of them with work to do."""
    restarts = Restarts()
    stream = election.command(
        "voting-stream",
        *("run", f"--master={cluster.master.url}"),
        f"--checkpoint={election.directory / 'shared' / 'checkpoint'}",
        f"--max-offsets-per-trigger={BATCH}",
        "--spark-conf=spark.executor.memory=512m",
        f"--spark-conf=spark.driver.extraJavaOptions={QUICK_START}",
        f"--spark-conf=spark.executor.extraJavaOptions={QUICK_START}",
    )
    consumers = [
        election.command(
            "voting-consumer",
            *("run", f"--instance={name}", "--session-timeout=6", "--batch-size=500"),
            name=f"voting-consumer-{name}",
        )
        for name in ("a", "b", "c")
    ]
    services = [Service(election.supervisor, each, restarts) for each in (stream, *consumers)]
    for service in services:
        service.start()
    restart_policy = RestartPolicy(election.supervisor, services)
    eventually(
        lambda: all('"resuming"' in consumer.log_path.read_text() for consumer in consumers),
        "three consumers with partitions of their own",
    )
    eventually(lambda: cluster.master.cores_used() == 2, "an executor on each Spark worker")
    yield services[1:]
    restart_policy.close()
    for row in restarts.rows():
        print(row)


def start_producer(election: Election, part: str) -> Child:
    """Start to send a slice of the election."""
    return election.start(
        "voting-producer",
        *("run", f"--results={US_2020}", f"--scale={SCALE}", f"--rate={RATE}", f"--slice={part}"),
        name=f"voting-producer-{part.partition('/')[0]}",
    )


def test_the_count_is_exact_while_parts_of_the_cluster_die(
    cluster: Cluster, election: Election, consumers: list[Service], counted: CountedVotes
) -> None:
    """A Kafka node, a consumer and a Spark worker are killed amid the count, which is exact."""
    expected = plain_totals(US_2020, SCALE)
    votes = expected.total()
    eventually(lambda: copies_in_sync(election) == {COPIES}, "all copies are complete")
    first = start_producer(election, "1/2")
    counted.reach(1)
    # By now everything works; all kills are behind the votes of the first half.
    second = start_producer(election, "2/2")

    eventually(lambda: stored(election).total() > votes * 0.55, "55% of the votes are stored")
    node = leader(election, cluster, "voting_progress")
    node.kill()

    eventually(lambda: stored(election).total() > votes * 0.65, "65% of the votes are stored")
    consumers[0].kill_and_stay_down()

    counted.reach(int(votes * 0.7))
    cluster.workers[0].kill()
    eventually(lambda: len(cluster.master.workers()) == 1, "Spark's master misses a worker")

    counted.reach(int(votes * 0.85))
    node.start()

    counted.reach(votes)
    for producer in (first, second):
        assert producer.wait(TIMEOUT_SECONDS) == 0, producer.log_path.read_text()
    eventually(lambda: copies_in_sync(election) == {COPIES}, "the Kafka node has caught up")

    findings = examine(election.kafka.bootstrap_servers, election.conn)
    findings.assert_consistent()
    assert (findings.accepted, findings.rejected) == (votes, {})
    assert stored(election) == expected
    assert aggregated(election) == expected
    done = election.run("voting", "reconcile", "--deep")
    assert done.returncode == 0, done.stdout + done.stderr
