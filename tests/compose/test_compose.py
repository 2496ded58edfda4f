"""The whole system in containers: an election, restarts meanwhile, and the operator's commands."""

import json
import os
import subprocess
from collections.abc import Iterator
from typing import NoReturn
from urllib.request import urlopen

import attrs
import pytest

from compose.system import System
from testkit.checker.consistency import find_problems
from testkit.checker.evidence import Evidence, gather_evidence
from testkit.checker.results_file import Totals, plain_totals
from testkit.paths import ROOT, US_2020
from voting_core.topics import ALL_TOPICS, TURNOUT_BY_LOCATION, VOTERS
from voting_infra.engine import open_engine
from voting_infra.exceptions import EngineError
from voting_infra.images import KAFKA, POSTGRES, build_images, find_image

PACKAGES = [path.parent.name for path in ROOT.glob("packages/*/pyproject.toml")]
SCALE = 4000
RATE = 400
COUNT_SECONDS = 600.0
RECOVERY_SECONDS = 180.0


def cannot_run(reason: str) -> NoReturn:
    """Skip the test, or fail if containers are required."""
    if os.environ.get("VOTING_TEST_STACK") == "containers":
        pytest.fail(f"{reason}, and VOTING_TEST_STACK asks for containers")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def images() -> dict[str, str]:
    """The images of the servers by variable; those of the services are built from this tree."""
    if subprocess.run(
        ["docker", "compose", "version"], capture_output=True, check=False
    ).returncode:
        cannot_run("docker compose does not run: install Docker and its Compose plugin")
    wanted = json.loads(System("voting", {}).run("config", "--format=json").stdout)["services"]
    servers = {"broker": KAFKA, "postgres": POSTGRES}
    try:
        with open_engine() as engine:
            build_images(*PACKAGES)
            return {
                source.variable: find_image(
                    engine, wanted[service]["image"], source, build=True
                ).name
                for service, source in servers.items()
            }
    except EngineError as error:
        cannot_run(str(error))


@pytest.fixture(scope="module")
def system(images: dict[str, str]) -> Iterator[System]:
    """The system, up, with a rehearsal in progress."""
    system = System.on_free_ports(VOTING_SCALE=str(SCALE), VOTING_RATE=str(RATE), **images)
    try:
        system.run("up", "--detach", timeout=900)
        yield system
    finally:
        system.run("down", "--volumes")


def expected_votes() -> Totals:
    """The votes that each candidate must have in each state, from the results file itself."""
    return plain_totals(US_2020, SCALE)


@attrs.frozen
class Counted:
    """The system after the count, and what its data stores held then."""

    system: System
    evidence: Evidence


@pytest.fixture(scope="module")
def counted(system: System) -> Counted:
    """The completely counted rehearsal; broker and database were restarted meanwhile."""
    total = expected_votes().total()

    def restart_after(votes: int, service: str) -> None:
        system.await_condition(
            f"{votes} votes", lambda: (system.votes() or 0) >= votes, COUNT_SECONDS
        )
        assert (system.votes() or 0) < total, "counted too fast for a restart meanwhile"
        system.run("restart", service)

    restart_after(total // 10, "broker")
    restart_after(total * 4 // 10, "postgres")

    def is_counted() -> bool:
        if (system.votes() or 0) < total:
            return False
        status = json.loads(system.voting("status", "--json", check=False).stdout)
        return status["votes"] == total and status["in_flight"] is False

    system.await_condition("everything counted", is_counted, COUNT_SECONDS)
    return Counted(system, gather_evidence(system.bootstrap_servers, system.database_url))


def test_every_vote_counts_once_in_spite_of_restarts(counted: Counted) -> None:
    """The tables, the topics and the totals all equal the results file."""
    assert find_problems(counted.evidence, tallied=True) == []
    rows = counted.system.psql(
        "SELECT candidate_name, address_state, count(*) FROM votes"
        " JOIN voters USING (voter_id) JOIN candidates USING (candidate_id) GROUP BY 1, 2"
    )
    stored = {(name, state): int(n) for name, state, n in (r.split("|") for r in rows.splitlines())}
    assert stored == expected_votes()
    counted.system.voting("reconcile")


def test_services_are_healthy_and_no_root(counted: Counted) -> None:
    """Every long-running service is up and healthy, without root privileges, under an init."""
    system = counted.system
    running = {"broker", "postgres", "consumer", "stream", "dashboard"}

    def are_healthy() -> bool:
        found = system.containers()
        return all(found[service]["Health"] == "healthy" for service in running)

    system.await_condition("all healthy", are_healthy, RECOVERY_SECONDS)
    found = system.containers()
    assert {service for service in found if found[service]["State"] == "running"} == running
    assert found["producer"]["ExitCode"] == found["init"]["ExitCode"] == 0
    for service in ("consumer", "stream", "dashboard"):
        output = system.run("exec", "-T", service, "sh", "-c", "id -u; cat /proc/1/comm").stdout
        user, first = output.split()
        assert user != "0"
        assert first == "tini"


def test_the_dashboard_answers_on_loopback_only(counted: Counted) -> None:
    """The page is served; no port is open to other machines."""
    with urlopen(counted.system.dashboard, timeout=30) as answer:
        assert b"<title>" in answer.read()
    published = [
        port
        for container in counted.system.containers().values()
        for port in container["Publishers"]
        if port["PublishedPort"]
    ]
    assert len(published) == 3
    assert {port["URL"] for port in published} == {"127.0.0.1"}


def test_kafka_s_tools_show_every_topic(counted: Counted) -> None:
    """The topics are listed, and the console consumer finds records on each of them."""
    system = counted.system
    names = {topic.name for topic in ALL_TOPICS}
    assert names <= set(system.kafka("topics", "--list").stdout.split())
    # A rehearsal has no reason for a rejection.
    system.kafka("console-producer", f"--topic={VOTERS.name}", stdin="no ballot\n")
    for name in sorted(names):
        options = (f"--topic={name}", "--from-beginning", "--max-messages=1", "--timeout-ms=60000")
        json.loads(system.kafka("console-consumer", *options).stdout)


def test_a_recreated_aggregate_topic_is_filled_again(counted: Counted) -> None:
    """After it is deleted and recreated by `voting init`, the stream counts from the beginning."""
    system = counted.system
    system.run("stop", "stream")
    system.kafka("topics", "--delete", f"--topic={TURNOUT_BY_LOCATION.name}")
    lost = system.voting("reconcile", check=False)
    assert lost.returncode != 0, lost.stdout
    system.voting("init")
    remove = ("--entrypoint=rm", "stream", "--recursive", "/var/lib/voting/tally")
    system.run("run", "--rm", "--no-deps", *remove)
    system.run("start", "stream")

    def agrees() -> bool:
        return system.voting("reconcile", check=False).returncode == 0

    system.await_condition("the recreated topic filled", agrees, RECOVERY_SECONDS)
    options = (f"--topic={TURNOUT_BY_LOCATION.name}", "--from-beginning", "--max-messages=51")
    lines = system.kafka("console-consumer", *options, "--timeout-ms=60000").stdout.splitlines()
    assert {json.loads(line)["state"] for line in lines} == {s for _, s in expected_votes()}


def test_down_leaves_nothing(system: System) -> None:
    """Neither a container nor a network nor a volume remains."""
    label = f"--filter=label=com.docker.compose.project={system.project}"

    def docker(*args: str) -> list[str]:
        done = subprocess.run(["docker", *args], capture_output=True, text=True, check=True)
        return done.stdout.split()

    containers = docker("ps", "--all", "--quiet", label)
    names = "{{range .Mounts}}{{.Name}} {{end}}"
    volumes = set(docker("inspect", f"--format={names}", *containers))
    assert volumes
    system.run("down", "--volumes")
    for kind in ("container", "network", "volume"):
        assert not docker(kind, "ls", "--quiet", *(["--all"] if kind == "container" else []), label)
    assert not volumes & set(docker("volume", "ls", "--quiet"))
