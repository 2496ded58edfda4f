"""Fixtures of the stack's tests, which run real processes."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import psutil
import pytest

from voting_infra import Stack, StackError, Supervisor, open_stack, processes
from voting_infra.choice import choose_stack
from voting_infra.engine import open_engine
from voting_infra.images import StackImages

# A shell that runs the tests in the background makes them and all their children ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """A supervisor that ends with the test."""
    with Supervisor(tmp_path / "logs") as supervisor:
        yield supervisor


@pytest.fixture(scope="session")
def images() -> StackImages:
    """The images to test, if an engine has them; forced containers may not be missing."""
    try:
        choice = choose_stack(os.environ)
    except StackError as error:
        pytest.fail(str(error))
    if choice.images is None:
        pytest.skip(f"no containers: {choice.why}")
    return choice.images


@pytest.fixture(scope="session")
def engine(images: StackImages) -> Iterator[docker.DockerClient]:
    """The engine that has them."""
    with open_engine() as engine:
        yield engine


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack of child processes for all tests."""
    with open_stack(log_dir=tmp_path_factory.mktemp("embedded")) as stack:
        yield stack


@pytest.fixture(scope="session")
def contained(images: StackImages, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack in containers for all tests."""
    logs = tmp_path_factory.mktemp("contained")
    with open_stack("containers", images=images, log_dir=logs, timeout=300.0) as stack:
        yield stack


@pytest.fixture(params=["embedded", "contained"])
def stack(request: pytest.FixtureRequest) -> Stack:
    """Each kind of stack in turn."""
    stack = request.getfixturevalue(request.param)
    assert isinstance(stack, Stack)
    return stack


def is_alive(pid: int) -> bool:
    """Return whether a process is there; a zombie is not."""
    try:
        return processes.is_alive(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def family(pid: int) -> set[int]:
    """Return a process and its descendants."""
    return {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))}


def until(condition: Callable[[], bool], timeout: float = 20.0) -> bool:
    """Poll a condition that nothing else announces; return whether it came true in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
