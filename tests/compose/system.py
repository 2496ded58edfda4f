"""The whole system of `infra/compose.yaml`, under a project name of its own."""

import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from voting_infra.ports import free_ports

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "infra" / "compose.yaml"


@attrs.frozen
class System:
    """A Compose project.

    Attributes:
        project: Its name, which all that it makes carries as a label.
        variables: The environment of `docker compose`.
    """

    project: str
    variables: Mapping[str, str]

    @classmethod
    def on_free_ports(cls, **variables: str) -> "System":
        """Return a project that is not up yet, with free ports."""
        ports = ("VOTING_KAFKA_PORT", "VOTING_POSTGRES_PORT", "VOTING_DASHBOARD_PORT")
        free = {name: str(port) for name, port in zip(ports, free_ports(3), strict=True)}
        project = f"voting-test-{secrets.token_hex(4)}"
        password = secrets.token_urlsafe(16)
        return cls(project, {**free, "POSTGRES_PASSWORD": password, **variables})

    @property
    def bootstrap_servers(self) -> str:
        """Kafka's address on this machine."""
        return f"localhost:{self.variables['VOTING_KAFKA_PORT']}"

    @property
    def database_url(self) -> str:
        """PostgreSQL's address on this machine."""
        port, password = (self.variables[n] for n in ("VOTING_POSTGRES_PORT", "POSTGRES_PASSWORD"))
        return f"postgresql://voting:{password}@localhost:{port}/voting"

    @property
    def dashboard(self) -> str:
        """The dashboard's address on this machine."""
        return f"http://localhost:{self.variables['VOTING_DASHBOARD_PORT']}"

    def run(
        self, *args: str, check: bool = True, timeout: float = 300.0, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run `docker compose` on the project; a checked failure shows its output."""
        others = {k: v for k, v in os.environ.items() if not k.startswith(("VOTING_", "COMPOSE_"))}
        result = subprocess.run(
            # The user's own variables are for another system.
            [
                *("docker", "compose", "--env-file=/dev/null", "--progress=plain"),
                *(f"--file={COMPOSE_FILE}", f"--project-name={self.project}", *args),
            ],
            env={**others, **self.variables},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check:
            assert result.returncode == 0, f"{args}: {result.stdout}{result.stderr}"
        return result

    def voting(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the operator's command in a container."""
        return self.run("run", "--rm", "--no-TTY", "voting", *args, check=check)

    def kafka(
        self, tool: str, *args: str, check: bool = True, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run one of Kafka's tools beside the broker."""
        path = f"/opt/kafka/bin/kafka-{tool}.sh"
        server = "--bootstrap-server=broker:29092"
        command = ("exec", "--no-TTY", "broker", path, server)
        return self.run(*command, *args, check=check, stdin=stdin)

    def psql(self, query: str, *, check: bool = True) -> str:
        """Run a query beside the database and return its rows, without the columns' names."""
        command = ("psql", "--username=voting", "--no-align", "--tuples-only", f"--command={query}")
        return self.run("exec", "--no-TTY", "postgres", *command, check=check).stdout.strip()

    def votes(self) -> int | None:
        """Return the number of stored votes; None while the database is unavailable."""
        count = self.psql("SELECT count(*) FROM votes", check=False)
        return int(count) if count else None

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return Compose's description of the container of each service."""
        lines = self.run("ps", "--all", "--format=json").stdout.splitlines()
        return {found["Service"]: found for found in map(json.loads, lines)}

    def await_condition(self, what: str, holds: Callable[[], bool], timeout: float) -> None:
        """Wait until a condition is true; the message of a timeout shows the logs."""
        deadline = time.monotonic() + timeout
        while not holds():
            if time.monotonic() > deadline:
                logs = self.run("logs", "--tail=30", check=False).stdout
                raise AssertionError(f"not within {timeout:.0f} s: {what}\n{logs}")
            time.sleep(0.2)
