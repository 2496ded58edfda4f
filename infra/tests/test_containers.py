"""The stack in containers: real Kafka, real PostgreSQL, a real Docker engine."""

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import psycopg
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from conftest import until

from voting_infra import ChildExited, Stack, StackError, Supervisor, open_stack
from voting_infra.choice import StackChoice, choose_stack
from voting_infra.containers import (
    ContainerPostgres,
    ContainerServer,
    StackImages,
)
from voting_infra.engine import open_engine


@pytest.fixture(scope="module")
def images() -> StackImages:
    """The images to test, if an engine has them; forced containers may not be missing."""
    try:
        choice: StackChoice = choose_stack(os.environ)
    except StackError as error:
        pytest.fail(str(error))
    if choice.images is None:
        pytest.skip(f"no containers: {choice.why}")
    return choice.images


@pytest.fixture(scope="module")
def engine(images: StackImages) -> Iterator[docker.DockerClient]:
    """The engine."""
    with open_engine() as engine:
        yield engine


@pytest.fixture(scope="module")
def stack(images: StackImages, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for the tests of this module."""
    logs = tmp_path_factory.mktemp("logs")
    with open_stack("containers", images=images, log_dir=logs, timeout=300.0) as stack:
        yield stack


def servers(stack: Stack) -> tuple[ContainerServer, ContainerServer]:
    """Both servers, as what they are."""
    assert isinstance(stack.kafka, ContainerServer)
    assert isinstance(stack.postgres, ContainerServer)
    return stack.kafka, stack.postgres


def run_inside(server: ContainerServer, *argv: str) -> str:
    """Runs a program in a server's container and returns what it prints."""
    status, output = server.container.exec_run(list(argv))
    assert isinstance(output, bytes)
    assert status == 0, output.decode()
    return output.decode()


def produce(stack: Stack, topic: str, value: bytes) -> None:
    """Produces a record and waits for its acknowledgement."""
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers, "acks": "all"})
    producer.produce(topic, value)
    assert producer.flush(60) == 0


def read(stack: Stack, topic: str, count: int) -> list[bytes | None]:
    """Reads that many records from the beginning of a topic."""
    consumer = Consumer({"bootstrap.servers": stack.bootstrap_servers, "group.id": "test"})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        return [message.value() for message in consumer.consume(count, timeout=60)]
    finally:
        consumer.close()


def test_kafka_keeps_its_data_and_address(stack: Stack) -> None:
    """What was acknowledged before a SIGKILL is there after the restart, at the same address."""
    client = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    client.create_topics([NewTopic("crash", 1, 1)])["crash"].result(60)
    produce(stack, "crash", b"before")
    stack.kafka.kill()
    assert not stack.kafka.running
    stack.kafka.start()
    produce(stack, "crash", b"after")
    assert read(stack, "crash", 2) == [b"before", b"after"]


def test_postgres_keeps_its_data_and_address(stack: Stack) -> None:
    """What was committed is there after a SIGKILL and after an orderly stop despite clients."""
    with psycopg.connect(stack.database_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
    stack.postgres.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(stack.database_url)
    stack.postgres.start()
    with psycopg.connect(stack.database_url):
        stack.postgres.stop()
        assert not stack.postgres.running
        assert servers(stack)[1].container.attrs["State"]["ExitCode"] == 0
    stack.postgres.start()
    with psycopg.connect(stack.database_url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (42,)


def test_a_paused_kafka_does_not_answer(stack: Stack) -> None:
    """A paused Kafka answers nobody, a resumed one does again."""
    client = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    client.list_topics(timeout=60)
    stack.kafka.pause()
    try:
        assert stack.kafka.running
        with pytest.raises(KafkaException):
            client.list_topics(timeout=1)
    finally:
        stack.kafka.resume()
    assert client.list_topics(timeout=60).brokers


def test_a_paused_postgres_keeps_its_connections(stack: Stack) -> None:
    """A pause freezes the connections that are open, and a resume lets them go on."""
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        stack.postgres.pause()
        try:
            connection.pgconn.send_query(b"SELECT 1")
            assert not select.select([connection.fileno()], [], [], 1.0)[0]
        finally:
            stack.postgres.resume()
        while connection.pgconn.get_result() is not None:
            pass
        assert connection.execute("SELECT 2").fetchone() == (2,)


def test_a_paused_server_can_be_killed(stack: Stack) -> None:
    """A crash may come while the server is frozen."""
    stack.postgres.pause()
    stack.postgres.kill()
    assert not stack.postgres.running
    stack.postgres.start()
    assert stack.postgres.running


def test_durability_is_on(stack: Stack) -> None:
    """PostgreSQL syncs every commit, sorts by code point, and wants the password."""
    with psycopg.connect(stack.database_url) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.execute(f"SHOW {setting}").fetchone() == ("on",)
        assert connection.execute("SELECT 'a' > 'B', 'é' > 'z'").fetchone() == (True, True)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(re.sub(r":[^:@]+@", ":wrong@", stack.database_url))


def test_the_tools_are_there(stack: Stack) -> None:
    """The commands that operators know work inside, at the address that clients outside use."""
    kafka, postgres = servers(stack)
    address = f"--bootstrap-server={stack.bootstrap_servers}"
    tools = "/opt/kafka/bin"
    run_inside(kafka, f"{tools}/kafka-topics.sh", address, "--create", "--topic=tools")
    produce(stack, "tools", b"cast")
    assert "tools:0:1" in run_inside(
        kafka, f"{tools}/kafka-get-offsets.sh", address, "--topic=tools"
    )
    consumed = run_inside(
        kafka,
        *(f"{tools}/kafka-console-consumer.sh", address, "--topic=tools"),
        *("--from-beginning", "--max-messages=1"),
    )
    assert "cast" in consumed.splitlines()
    run_inside(kafka, f"{tools}/kafka-topics.sh", address, "--delete", "--topic=tools")
    listed = run_inside(kafka, f"{tools}/kafka-topics.sh", address, "--list")
    assert "tools" not in listed.splitlines()
    assert "voting" in run_inside(postgres, "psql", "--username=voting", "--list")


def test_the_containers_become_healthy(stack: Stack) -> None:
    """The health checks of our own images agree that both servers are up."""
    for server in servers(stack):
        if server.container.attrs["Config"]["Image"].startswith("voting-"):
            assert until(lambda s=server: s.container.health == "healthy", 120), server.name  # type: ignore[misc]


def test_nobody_runs_as_root(stack: Stack) -> None:
    """The first process of each container belongs to another user."""
    for server in servers(stack):
        status = run_inside(server, "cat", "/proc/1/status")
        uids = re.search(r"^Uid:\s+(\d+)\s+(\d+)", status, re.MULTILINE)
        assert uids is not None
        assert "0" not in uids.groups()


def test_ports_are_bound_to_loopback(stack: Stack) -> None:
    """Nobody on the network reaches the servers."""
    for server in servers(stack):
        bindings = server.container.attrs["NetworkSettings"]["Ports"]
        bound = [each["HostIp"] for ports in bindings.values() for each in ports or []]
        assert bound == ["127.0.0.1"]


def test_a_server_that_ends_shows_its_log(
    images: StackImages, engine: docker.DockerClient, supervisor: Supervisor
) -> None:
    """A container that ends instead of answering is an error with the last lines of its log."""

    class Refused(ContainerPostgres):
        def _describe(self, container: object) -> int:
            return 5432  # and no password

    postgres = Refused(engine, supervisor, images.postgres.name, 120.0)
    try:
        postgres.launch()
        with pytest.raises(ChildExited, match=r"(?s)exit status 1.*POSTGRES_PASSWORD"):
            postgres.await_answer()
    finally:
        postgres.remove()


# Opens a stack, tells the names of its containers, then waits.
PARENT = """
import sys, time
from pathlib import Path
from voting_infra import open_stack
with open_stack("containers", log_dir=Path(sys.argv[1]), timeout=300.0) as stack:
    print(stack.kafka.container_name, stack.postgres.container_name, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left(
    engine: docker.DockerClient, images: StackImages, tmp_path: Path, number: signal.Signals
) -> None:
    """However the parent is ended, its containers and their volumes go with it."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "logs")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={
            **os.environ,
            "VOTING_KAFKA_IMAGE": images.kafka.name,
            "VOTING_POSTGRES_IMAGE": images.postgres.name,
        },
    ) as parent:
        assert parent.stdout is not None
        names = set(parent.stdout.readline().decode().split())
        volumes = {
            mount["Name"]
            for name in names
            for mount in engine.containers.get(name).attrs["Mounts"]
            if mount["Type"] == "volume"
        }
        assert len(names) == 2
        assert volumes
        parent.send_signal(number)
        parent.wait(60)
    left = {"all": True, "ignore_removed": True}
    assert until(lambda: not names & {c.name for c in engine.containers.list(**left)}, 60)  # type: ignore[arg-type]
    assert not volumes & {volume.name for volume in engine.volumes.list()}
