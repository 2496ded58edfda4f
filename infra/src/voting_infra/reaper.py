"""The parent's side of the reaper process."""

import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path

from voting_infra import _reaper
from voting_infra.exceptions import SupervisionError


class Reaper:
    """A running reaper process, which learns what to clean up should this process be killed.

    Guard a directory or a container before it is made, and a process before it does anything.

    Raises:
        SupervisionError: It does not start, or (from any method) it has been killed.
    """

    def __init__(self, log_path: Path) -> None:
        """Starts the process.

        Args:
            log_path: Where it tells what it had to clean up.
        """
        self._lock = threading.Lock()
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                # -I -S: no site-packages, which would cost more than the rest of the start.
                [sys.executable, "-I", "-S", _reaper.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                cwd="/",
                # The terminal's Ctrl-C goes to this process's group, not to the reaper's.
                start_new_session=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._pipe = self._process.stdin
        with self._process.stdout as answer:
            if answer.readline() != _reaper.READY:
                self.close()
                raise SupervisionError(f"the reaper does not start; its log is {log_path}")
        _reapers.add(self)

    @property
    def pid(self) -> int:
        """The reaper's process id."""
        return self._process.pid

    def guard_process(self, pid: int, stop_signal: int) -> None:
        """Adds a process and its family, to be asked to stop by this signal, then killed."""
        self._tell("process", pid, int(stop_signal))

    def release_process(self, pid: int) -> None:
        """Takes a process off the list."""
        self._tell("gone", pid)

    def guard_command(self, argv: Sequence[str]) -> None:
        """Adds a command, to be run once the processes have ended."""
        self._tell("command", list(argv))

    def release_command(self, argv: Sequence[str]) -> None:
        """Takes a command off the list.

        Args:
            argv: As it was added.
        """
        self._tell("needless", list(argv))

    def guard_directory(self, path: Path) -> None:
        """Adds a directory, to be removed with all that is in it."""
        self._tell("directory", str(path))

    def release_directory(self, path: Path) -> None:
        """Takes a directory off the list."""
        self._tell("removed", str(path))

    def close(self) -> None:
        """Ends the reaper, after it has cleaned up what is still on its list."""
        with self._lock:
            self._pipe.close()
            self._process.wait()

    def _tell(self, *message: str | int | list[str]) -> None:
        line = json.dumps(message).encode() + b"\n"
        try:
            with self._lock:
                self._pipe.write(line)
        except (BrokenPipeError, ValueError) as error:
            raise SupervisionError("the reaper process has ended") from error


_reapers: "weakref.WeakSet[Reaper]" = weakref.WeakSet()


def _forget_all() -> None:
    for reaper in list(_reapers):
        reaper._pipe.close()
    _reapers.clear()


# A fork without exec (multiprocessing) would hold the pipe open beyond the parent's end.
os.register_at_fork(after_in_child=_forget_all)
