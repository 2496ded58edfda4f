"""The stack in containers: real Kafka, real PostgreSQL, a real Docker engine."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import docker
import pytest
from kafka_records import produce

from conftest import until
from voting_infra import ChildExited, Stack, Supervisor
from voting_infra.containers import ContainerPostgres, ContainerServer
from voting_infra.images import StackImages


def servers(stack: Stack) -> tuple[ContainerServer, ContainerServer]:
    """Both servers, as what they are."""
    assert isinstance(stack.kafka, ContainerServer)
    assert isinstance(stack.postgres, ContainerServer)
    return stack.kafka, stack.postgres


def run_inside(server: ContainerServer, *argv: str) -> str:
    """Run a program in a server's container and return what it prints."""
    status, output = server.container.exec_run(list(argv))
    assert isinstance(output, bytes)
    assert status == 0, output.decode()
    return output.decode()


def test_the_tools_are_there(contained: Stack) -> None:
    """The commands that operators know work inside, at the address that clients outside use."""
    kafka, postgres = servers(contained)
    address = f"--bootstrap-server={contained.bootstrap_servers}"
    tools = "/opt/kafka/bin"
    run_inside(kafka, f"{tools}/kafka-topics.sh", address, "--create", "--topic=tools")
    produce(contained, "tools", b"cast")
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


def test_the_containers_become_healthy(contained: Stack) -> None:
    """The health checks of our own images agree that both servers are up."""
    for server in servers(contained):
        if server.container.attrs["Config"]["Image"].startswith("voting-"):
            assert until(lambda s=server: s.container.health == "healthy", 120), server.name  # type: ignore[misc]


def test_nothing_runs_as_root(contained: Stack) -> None:
    """The first process of each container belongs to another user."""
    for server in servers(contained):
        status = run_inside(server, "cat", "/proc/1/status")
        uids = re.search(r"^Uid:\s+(\d+)\s+(\d+)", status, re.MULTILINE)
        assert uids is not None
        assert "0" not in uids.groups()


def test_ports_are_bound_to_loopback(contained: Stack) -> None:
    """The servers cannot be reached from the network."""
    for server in servers(contained):
        bindings = server.container.attrs["NetworkSettings"]["Ports"]
        bound = [each["HostIp"] for ports in bindings.values() for each in ports or []]
        assert bound == ["127.0.0.1"]


def test_a_server_that_ends_shows_its_log(
    images: StackImages, engine: docker.DockerClient, supervisor: Supervisor
) -> None:
    """A container that ends instead of answering is an error with the last lines of its log."""

    class Refused(ContainerPostgres):
        def _configure(self, container: object) -> int:
            return 5432  # and no password

    postgres = Refused(engine, supervisor, images.postgres.name, 120.0)
    try:
        with pytest.raises(ChildExited, match=r"(?s)exit status 1.*POSTGRES_PASSWORD"):
            postgres.start_on_free_ports()
    finally:
        postgres.remove()


# Opens a stack, prints the names of its containers, then waits.
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
