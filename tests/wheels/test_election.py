"""A whole election by the installed wheels, away from the repository."""

import csv
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from testkit.waiting import eventually
from voting_infra import Child, Command, Stack, Supervisor
from voting_infra.ports import free_ports
from wheels.environments import PACKAGES, Environment, make_environment, outside_environment, wheel

VOTES = {
    ("OHIO", "ADA"): 310,
    ("OHIO", "BOB"): 205,
    ("TEXAS", "ADA"): 47,
    ("TEXAS", "BOB"): 138,
}
COUNT_SECONDS = 420.0
POLL_SECONDS = 1.0
STOP_SECONDS = 90.0


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with all five wheels."""
    path = tmp_path_factory.mktemp("all") / "environment"
    return make_environment(path, [wheel(package) for package in PACKAGES])


@attrs.frozen
class Installation:
    """The wheels' commands on a stack, run from a folder outside the repository."""

    environment: Environment
    folder: Path
    variables: dict[str, str]
    services: Supervisor

    def run(self, script: str, *args: str) -> str:
        """Run a command that must succeed, and return what it prints."""
        done = self.environment.run(script, *args, cwd=self.folder, env=self.variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, script: str, *args: str) -> Child:
        """Start a service; the end of the test stops it."""
        return self.services.start(
            Command(
                name=script,
                argv=[self.environment.script(script), *args],
                env=self.variables,
                cwd=self.folder,
                log_path=self.folder / f"{script}.log",
            )
        )

    def status(self) -> dict[str, Any]:
        """The progress of each stage, also while a service has not started yet (exit code 3)."""
        done = self.environment.run(
            "voting", "status", "--json", cwd=self.folder, env=self.variables
        )
        assert done.returncode in (0, 3), done.stdout + done.stderr
        return dict(json.loads(done.stdout))


@pytest.fixture
def installation(environment: Environment, stack: Stack, tmp_path: Path) -> Iterator[Installation]:
    """The installed commands on an empty stack."""
    variables = outside_environment() | {
        "VOTING_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
        "VOTING_DATABASE_URL": stack.database_url,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    with Supervisor(tmp_path) as services:
        yield Installation(environment, tmp_path, variables, services)


def write_results(path: Path) -> None:
    """Write the results file that the election replays."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("state", "candidate", "candidatevotes"))
        writer.writerows((state, name, votes) for (state, name), votes in VOTES.items())


def answers(address: str) -> bool:
    """Whether a page is served."""
    try:
        with urllib.request.urlopen(address, timeout=1) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def test_all_five_fit_together(environment: Environment) -> None:
    """The packages' requirements, on each other and on libraries, do not conflict."""
    environment.check()
    assert set(PACKAGES) <= set(environment.installed())


def test_an_election_is_counted(installation: Installation) -> None:
    """The installed commands set it up, send, decide, tally, show, reconcile and certify it."""
    write_results(installation.folder / "results.csv")
    port = free_ports(1)[0]
    installation.run("voting", "init")
    services = [
        installation.start("voting-stream", "run", "--checkpoint=checkpoint"),
        installation.start("voting-consumer", "run", "--instance=wheels"),
        installation.start("voting-dashboard", "--host=127.0.0.1", f"--port={port}"),
    ]
    installation.run(
        *("voting-producer", "run", "--source=results", "--results=results.csv", "--scale=1")
    )

    def is_counted() -> bool:
        for service in services:
            service.check()
        return bool(installation.status()["flow"]["tallied"] >= sum(VOTES.values()))

    def serves_the_page() -> bool:
        services[-1].check()
        return answers(f"http://127.0.0.1:{port}/")

    eventually(is_counted, "all votes counted", timeout=COUNT_SECONDS, interval=POLL_SECONDS)
    eventually(serves_the_page, "the dashboard responds", interval=POLL_SECONDS)
    installation.run("voting", "reconcile")
    installation.services.stop_all(services, STOP_SECONDS)
    assert [service.returncode for service in services[:2]] == [0, 0]
    installation.run("voting", "certify", "--out=results")
    installation.run("voting", "verify", "results")
    with (installation.folder / "results" / "results.csv").open(encoding="utf-8") as file:
        counted = {
            (row["state"], row["candidate"]): int(row["candidatevotes"])
            for row in csv.DictReader(file)
        }
    assert counted == VOTES
