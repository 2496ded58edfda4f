"""A consumer that is paused at a chosen step and wakes up when others have done its work."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Election
from test_consumer import QUICK, assert_counted, consume, ready

__all__ = ["ready"]

BATCHES = "--batch-size=100"


@contextmanager
def paused_consumer(election: Election, point: str) -> Iterator[subprocess.Popen[str]]:
    """The instance `one`, paused where it comes to a point for the first time."""
    process = subprocess.Popen(
        [
            *(sys.executable, Path(__file__).with_name("kill_consumer.py"), "--pause", point, "1"),
            *("run", *QUICK, BATCHES, "--instance=one"),
        ],
        env=election.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        state = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        assert state is not None
        assert state.si_code == os.CLD_STOPPED, "it has not come to that point"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("point", "successor"),
    [
        ("partitions locked", "two"),
        ("decisions committed", "one"),
        ("decisions committed", "two"),
        ("offsets sent", "two"),
    ],
)
def test_a_zombie_changes_nothing_when_it_wakes_up(
    ready: Election, point: str, successor: str
) -> None:
    """Paused at a step past all time-outs, it neither holds up who takes over nor adds to it."""
    with paused_consumer(ready, point) as zombie:
        consume(ready, BATCHES, f"--instance={successor}")
        assert_counted(ready)
        zombie.send_signal(signal.SIGCONT)
        _, said = zombie.communicate(timeout=60)
        # It goes on as a member of the group, or ends because it was fenced off: by another one of
        # its name, or because its transaction was ended for it.
        assert zombie.returncode == 0 or "fenced" in said, said
    consume(ready, "--instance=three")
    assert_counted(ready)
