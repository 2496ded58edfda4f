"""A consumer that is killed or paused at a step of its loop."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from testkit import kill_points
from testkit.election import QUICK_CONSUMER, Election

__all__ = ["kill_consumer", "paused_consumer"]


def kill_consumer(election: Election, point: str, *args: str, times: int = 1) -> None:
    """Run a consumer until it is killed where it reaches a point for the n-th time.

    Args:
        election: With ballots to decide.
        point: One of `kill_points.POINTS`.
        args: Further options of the consumer.
        times: The n.
    """
    killed = subprocess.run(
        _command(point, str(times), "run", *QUICK_CONSUMER, *args),
        env=election.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr


@contextmanager
def paused_consumer(election: Election, point: str, *args: str) -> Iterator[subprocess.Popen[str]]:
    """Run a consumer that is paused (SIGSTOP) where it first reaches a point."""
    process = subprocess.Popen(
        _command("--pause", point, "1", "run", *QUICK_CONSUMER, *args),
        env=election.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        state = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        assert state is not None
        assert state.si_code == os.CLD_STOPPED, f"it has not reached the point {point!r}"
        yield process
    finally:
        process.kill()
        process.communicate()


def _command(*args: str) -> list[str]:
    return [sys.executable, kill_points.__file__, *args]
