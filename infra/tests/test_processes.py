"""The life of a supervised child process."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from conftest import is_alive, until
from voting_infra import Child, ChildExited, ChildTimeout, Command, SupervisionError, Supervisor
from voting_infra.processes import launcher

# Prints the pid of a child of its own that has left the process group and the session.
RUNAWAY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                         start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(600)
"""


def start(supervisor: Supervisor, code: str, **options: object) -> Child:
    """Start a Python child that runs some code."""
    argv = [sys.executable, "-c", code]
    log_path = supervisor.log_dir / "child.log"
    return supervisor.start(Command(name="child", argv=argv, log_path=log_path, **options))  # type: ignore[arg-type]


def first_line(child: Child) -> str:
    """Wait for the child's first line of output."""
    assert until(lambda: b"\n" in child.log_path.read_bytes())
    return child.log_path.read_text().splitlines()[0]


def test_exit_status_and_output_arrive(supervisor: Supervisor) -> None:
    """A child gets its environment, and its status and both outputs are known afterwards."""
    code = "import os, sys; print(os.environ['X']); print('oh', file=sys.stderr); sys.exit(3)"
    child = start(supervisor, code, env={"X": "its value"})
    assert child.wait(20) == child.returncode == 3
    assert set(child.log_path.read_text().splitlines()) == {"its value", "oh"}


def test_unexpected_end_shows_the_log(supervisor: Supervisor) -> None:
    """When a child has died the error names its log and shows the last lines, and only those."""
    child = start(supervisor, "for i in range(100): print('line', i)\nraise SystemExit(7)")
    child.wait(20)
    with pytest.raises(ChildExited, match="exit status 7") as caught:
        child.check()
    assert str(child.log_path) in str(caught.value)
    assert "line 99" in str(caught.value)
    assert "line 50" not in str(caught.value)


def test_a_running_child_is_fine(supervisor: Supervisor) -> None:
    """While a child runs it has no exit status, checks pass, and waiting for it times out."""
    child = start(supervisor, "import time; time.sleep(600)")
    child.check()
    assert child.returncode is None
    with pytest.raises(ChildTimeout):
        child.wait(0.05)


def test_missing_program(supervisor: Supervisor) -> None:
    """A program that does not exist is an error at once."""
    with pytest.raises(SupervisionError, match="no program does-not-exist"):
        supervisor.start(
            Command(name="x", argv=["does-not-exist"], log_path=supervisor.log_dir / "x.log")
        )


def test_stop_asks_politely(supervisor: Supervisor) -> None:
    """A child that handles its stop signal ends by itself, with its own status."""
    code = """
import signal, sys, time
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(5))
print("ready", flush=True)
time.sleep(600)
"""
    child = start(supervisor, code, stop_signal=signal.SIGUSR1)
    first_line(child)
    assert child.stop(20) == 5


def test_stop_kills_the_stubborn(supervisor: Supervisor) -> None:
    """A child that ignores the stop signal is killed after the timeout."""
    child = start(supervisor, STUBBORN)
    first_line(child)
    assert child.stop(0.2) == -signal.SIGKILL
    assert not is_alive(child.pid)


def test_stop_ends_a_paused_child(supervisor: Supervisor) -> None:
    """A paused child is resumed to take its stop signal."""
    child = start(supervisor, "import time; print('up', flush=True); time.sleep(600)")
    first_line(child)
    child.pause()
    assert child.stop(20) == -signal.SIGTERM


def test_kill_takes_the_family(supervisor: Supervisor) -> None:
    """Killing a child kills its children too, even those in a session of their own."""
    child = start(supervisor, RUNAWAY)
    grandchild = int(first_line(child))
    assert is_alive(grandchild)
    assert child.kill() == -signal.SIGKILL
    assert not is_alive(grandchild)


def test_stop_takes_the_family(supervisor: Supervisor) -> None:
    """Stopping a child ends its children too, even those in a session of their own."""
    child = start(supervisor, RUNAWAY)
    grandchild = int(first_line(child))
    assert child.stop(20) == -signal.SIGTERM
    assert not is_alive(grandchild)


def test_pause_freezes_the_family(supervisor: Supervisor) -> None:
    """A paused child and its children are stopped, and run again when resumed."""
    child = start(supervisor, RUNAWAY)
    pids = [child.pid, int(first_line(child))]

    def states() -> set[str]:
        return {Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in pids}

    child.pause()
    assert until(lambda: states() == {"T"})
    child.resume()
    assert until(lambda: "T" not in states())


def test_a_child_outlives_the_thread_that_started_it(supervisor: Supervisor) -> None:
    """A child stays when the thread that asked for it ends, though the kernel watches threads."""
    children: list[Child] = []
    code = "import time; print('up', flush=True); time.sleep(600)"
    thread = threading.Thread(target=lambda: children.append(start(supervisor, code)))
    thread.start()
    thread.join()
    first_line(children[0])
    with pytest.raises(ChildTimeout):
        children[0].wait(0.5)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_an_orphan_never_becomes_its_program(tmp_path: Path) -> None:
    """A child whose parent has ended before the kernel watches it ends without running anything."""
    touched = tmp_path / "touched"
    for parent, created in ((os.getppid(), False), (os.getpid(), True)):
        argv = [*launcher(parent, signal.SIGKILL), "touch", str(touched)]
        assert (subprocess.run(argv, check=False).returncode == 0) is created
        assert touched.exists() is created


def test_leftovers_end_with_their_leader(supervisor: Supervisor) -> None:
    """What is left of a session whose leader has ended by itself ends before `wait` returns."""
    code = """
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid)
"""
    child = start(supervisor, code)
    assert child.wait(20) == 0
    assert not is_alive(int(first_line(child)))


def test_peak_memory(supervisor: Supervisor) -> None:
    """The peak counts memory that the child has given back, while it runs and afterwards."""
    code = """
import time
block = bytearray(b"x") * 200_000_000
del block
print("done", flush=True)
time.sleep(600)
"""
    child = start(supervisor, code)
    first_line(child)
    running = child.peak_memory
    child.stop()
    for peak in (running, child.peak_memory):
        assert peak is not None
        assert 200e6 < peak < 300e6


def test_peak_memory_is_not_the_parents(supervisor: Supervisor) -> None:
    """A small child of a large parent is small, although the kernel counts it forked."""
    block = bytearray(b"x") * 300_000_000
    child = start(supervisor, "import time; print('up', flush=True); time.sleep(600)")
    first_line(child)
    child.stop()
    assert child.peak_memory is not None
    assert child.peak_memory < 100e6
    del block


def test_the_supervisor_ends_all(tmp_path: Path) -> None:
    """Leaving the supervisor ends children and guard and removes directories."""
    with Supervisor(tmp_path) as supervisor:
        child = start(supervisor, "import time; time.sleep(600)")
        directory = supervisor.make_directory("test")
        (directory / "file").touch()
        guard = supervisor._guard.pid
        assert is_alive(guard)
    assert child.returncode == -signal.SIGTERM
    assert not is_alive(child.pid)
    assert not is_alive(guard)
    assert not directory.exists()
    with pytest.raises(SupervisionError, match="closed"):
        start(supervisor, "pass")


def test_the_guard_has_nothing_to_do_after_an_orderly_end(tmp_path: Path) -> None:
    """The guard's log stays empty when the supervisor has cleaned up itself."""
    with Supervisor(tmp_path) as supervisor:
        start(supervisor, "pass").wait(20)
        supervisor.make_directory("test")
    assert (tmp_path / "guard.log").read_text() == ""


def test_a_leader_killed_alone_takes_its_session_along_later(supervisor: Supervisor) -> None:
    """Killing the leader returns at once; what is left of its session has ended by its end."""
    code = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""
    child = start(supervisor, code)
    other = int(first_line(child))
    child.kill_leader()
    assert child.wait(20) == -signal.SIGKILL
    assert not is_alive(other)
