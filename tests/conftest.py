"""Fixtures of the tests of the whole pipeline: a real stack, and fresh elections on it."""

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import cattrs
import pytest

from testkit.election import Election, fresh_election
from testkit.sample_ballots import send_sample_ballots
from voting_infra import Stack, StackError, Supervisor, open_stack
from voting_infra.choice import StackChoice, choose_stack
from voting_infra.logs import new_log_directory, tail

# They need more than a stack, and have Nox sessions of their own.
collect_ignore = ["cluster", "compose", "wheels"]

# A shell that runs the tests in the background makes them and all their children ignore SIGINT.
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
    """Send a worker of pytest-xdist the choice, as plain values."""
    node.workerinput["stack"] = cattrs.unstructure(node.config.stash[STACK])


def pytest_report_header(config: pytest.Config) -> str:
    """Report what the tests run on."""
    return f"stack: {config.stash[STACK]}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the last lines of the services' logs to the report of a test that fails."""
    report = yield
    directory = getattr(item, "funcargs", {}).get("tmp_path")
    if report.failed and directory is not None:
        for path in sorted(directory.glob("*.log")):
            report.sections.append((path.name, tail(path, 40)))
    return report


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


@pytest.fixture
def election(stack: Stack, tmp_path: Path) -> Iterator[Election]:
    """A fresh election: empty tables, newly created topics of two partitions."""
    with fresh_election(stack, tmp_path) as election:
        yield election


@pytest.fixture
def ready(election: Election) -> Election:
    """An election of 300 registered voters who have all sent a ballot, and a few bad records."""
    send_sample_ballots(election)
    return election
