"""Fixtures of the stack's tests, which run real processes."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from voting_infra import Supervisor, _reaper


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """A supervisor that ends with the test."""
    with Supervisor(tmp_path / "logs") as supervisor:
        yield supervisor


def is_alive(pid: int) -> bool:
    """Tells whether a process is there; a zombie is not."""
    return pid in _reaper.family([pid])


def until(condition: Callable[[], bool], timeout: float = 20.0) -> bool:
    """Polls a condition that nothing else announces; tells whether it came true in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
