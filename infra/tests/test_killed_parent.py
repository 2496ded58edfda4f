"""What happens when the parent ends without cleaning up."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import is_alive, until

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux ends children with their parent"
)

# A parent with a stubborn child, a paused child with a child of its own that ends with its input,
# and a directory; prints what it has, then waits.
PARENT = """
import json, sys, time
from pathlib import Path
from voting_infra import Command, Supervisor

logs = Path(sys.argv[1])
deaf = '''
import signal, subprocess, sys, time
signal.signal(15, signal.SIG_IGN)
reader = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print(reader.pid, flush=True)
time.sleep(600)
'''
supervisor = Supervisor(logs)
children = [
    supervisor.start(Command(name=n, argv=[sys.executable, "-c", deaf], log_path=logs / n))
    for n in ("stubborn", "paused")
]
while not all((logs / n).read_text() for n in ("stubborn", "paused")):
    time.sleep(0.02)
children[1].pause()
directory = supervisor.make_directory("test")
(directory / "file").touch()
readers = [int((logs / n).read_text()) for n in ("stubborn", "paused")]
print(json.dumps({"pids": [c.pid for c in children] + readers + [supervisor._guard.pid],
                  "directory": str(directory)}), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_outlives_the_parent(tmp_path: Path, number: signal.Signals) -> None:
    """However the parent is ended, its children, its guard and its directories disappear."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        has = json.loads(parent.stdout.readline())
        assert all(is_alive(pid) for pid in has["pids"])
        # The guard does not end before it has cleaned up.
        os.kill(has["pids"][-1], signal.SIGTERM)
        # The whole group, as a terminal does.
        os.killpg(parent.pid, number)
        parent.wait(20)
    assert until(lambda: not any(is_alive(pid) for pid in has["pids"]), 30)
    assert not Path(has["directory"]).exists()


def test_a_forked_process_does_not_keep_the_guard_waiting(tmp_path: Path) -> None:
    """A fork that outlives the killed parent does not keep the guard from cleaning up."""
    code = """
import os, signal, sys, time
from pathlib import Path
from voting_infra import Supervisor
supervisor = Supervisor(Path(sys.argv[1]))
directory = supervisor.make_directory("test")
fork = os.fork()
if fork == 0:
    time.sleep(600)
print(fork, directory, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        fork, directory = parent.stdout.readline().split()
        try:
            assert until(lambda: not Path(directory).exists())
            assert is_alive(int(fork))
        finally:
            os.kill(int(fork), signal.SIGKILL)
