"""What the tests of the whole pipeline share: a real stack, and fresh elections on it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import cattrs
import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from typed_settings import SecretStr

from voting_core.database import connect
from voting_core.kafka import connect_admin
from voting_core.operator.setup import forget_election, set_up_election
from voting_core.service.settings import DatabaseSettings, KafkaSettings
from voting_infra import Child, Command, Stack, StackError, Supervisor, open_stack
from voting_infra.choice import StackChoice, choose_stack
from voting_infra.logs import new_log_directory
from voting_infra.service_commands import environment_without_settings, service_environment

# They need more than a stack, and have sessions of their own.
collect_ignore = ["cluster", "compose", "wheels"]

ROOT = Path(__file__).parents[1]
US_2020 = ROOT / "infra" / "data" / "us-president-2020-by-county.csv"
SCRIPTS = Path(sys.executable).parent
MODULES = (str(ROOT / "tests"), str(ROOT / "benchmarks"))
"""Where `chaos` and `scaling` are."""

# A shell that runs the tests in the background lets them ignore SIGINT, and so all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


STACK = pytest.StashKey[StackChoice]()


def pytest_configure(config: pytest.Config) -> None:
    """Choose the kind of stack, once for all workers of pytest-xdist."""
    if hasattr(config, "workerinput"):
        config.stash[STACK] = cattrs.structure(config.workerinput["stack"], StackChoice)
        return
    try:
        config.stash[STACK] = choose_stack(os.environ)
    except StackError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist the choice, in values that it can be sent."""
    node.workerinput["stack"] = cattrs.unstructure(node.config.stash[STACK])


def pytest_report_header(config: pytest.Config) -> str:
    """Say what the tests run on."""
    return f"stack: {config.stash[STACK]}"


@pytest.fixture(scope="session")
def supervisor() -> Iterator[Supervisor]:
    """Runs the stack and the services, and leaves none of them behind."""
    with Supervisor(new_log_directory()) as supervisor:
        yield supervisor


@pytest.fixture(scope="session")
def stack(supervisor: Supervisor, pytestconfig: pytest.Config) -> Iterator[Stack]:
    """A running Kafka and PostgreSQL."""
    choice = pytestconfig.stash[STACK]
    with open_stack(choice.kind, supervisor=supervisor, images=choice.images) as stack:
        yield stack


@attrs.frozen
class Election:
    """An election that nobody has voted in yet, and how to run services on it."""

    kafka: KafkaSettings
    database: DatabaseSettings
    admin: AdminClient
    conn: psycopg.Connection
    supervisor: Supervisor
    directory: Path

    def environment(self) -> dict[str, str]:
        """The environment in which a command works on this election."""
        return service_environment(self.kafka.bootstrap_servers, str(self.database.url))

    def run(
        self, script: str, *args: str, timeout: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a console script to its end."""
        return subprocess.run(
            [SCRIPTS / script, *args],
            env=self.environment(),
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def command(self, script: str, *args: str, name: str | None = None) -> Command:
        """A console script to be started."""
        return Command(
            name=name or script,
            argv=[SCRIPTS / script, *args],
            env=self.environment(),
            cwd=self.directory,
            log_path=self.directory / f"{name or script}.log",
        )

    def start(self, script: str, *args: str, name: str | None = None) -> Child:
        """Start a console script; the election's end stops it."""
        return self.supervisor.start(self.command(script, *args, name=name))


@pytest.fixture
def election(stack: Stack, tmp_path: Path) -> Iterator[Election]:
    """A fresh election: empty tables, newly created topics of two partitions."""
    kafka = KafkaSettings(stack.bootstrap_servers)
    database = DatabaseSettings(SecretStr(stack.database_url))
    admin = connect_admin(kafka)
    with connect(database) as conn:
        forget_election(admin, conn)
        set_up_election(admin, conn, partitions=2)
        with Supervisor(tmp_path) as services:
            yield Election(kafka, database, admin, conn, services, tmp_path)


def run_module(
    module: str, *args: str, timeout: float, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a module that brings up a stack of its own to its end."""
    return subprocess.run(
        [sys.executable, "-m", module, *args],
        env=(env or environment_without_settings()) | {"PYTHONPATH": os.pathsep.join(MODULES)},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def run_demo(
    *args: str, timeout: float = 300.0, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the demo without a browser to its end."""
    return run_module("voting_infra.demo", "--headless", *args, timeout=timeout, env=env)


class Output:
    """The lines that a running process prints, with a way to wait for one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, lines: Iterator[str]) -> None:
        for line in lines:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait_for(self, text: str, timeout: float) -> str:
        """Return the first line that contains a text, waiting for it."""

        def found() -> list[str]:
            return [line for line in self.lines if text in line]

        with self._changed:
            self._changed.wait_for(lambda: found() or self._ended, timeout)
            assert found(), f"no line with {text!r} came; there is:\n" + "\n".join(self.lines)
            return found()[0]


@contextmanager
def running_demo(*args: Sequence[str] | str) -> Iterator[tuple[subprocess.Popen[str], Output]]:
    """Run the demo in a session of its own, and kill it at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "voting_infra.demo", *[str(arg) for arg in args]],
        env=environment_without_settings(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process, Output(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
