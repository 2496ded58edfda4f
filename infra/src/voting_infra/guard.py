"""The guard: a small process that removes what its parent was killed too early to remove.

It ends no process: on Linux the kernel does that (see `processes`), and elsewhere a parent that is
killed leaves its children behind.

The parent writes to the guard's standard input, one line for each fact:

    directory PATH      remove it with all that is in it
    containers LABEL    remove the Docker containers that carry this label, and their volumes
    paused PID          resume it: a stopped process notices neither the end of a pipe nor a signal

The end of the input means that the parent has ended. What it removed itself is not there any more.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

_DEAF = 'trap "" HUP INT TERM; exec "$@"'
_REMOVALS = 10
_REMOVAL_INTERVAL_S = 0.5


class Guard:
    """The parent's side of a running guard.

    Attributes:
        pid: The guard's process id.
    """

    def __init__(self, log_path: Path) -> None:
        """Start the process, which logs what it had to remove."""
        self._lock = threading.Lock()
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                # What ends the parent must not end the guard, from its first moment. -I: a module
                # beside this one must not shadow one of the standard library.
                ["/bin/sh", "-c", _DEAF, "guard", sys.executable, "-I", __file__],
                stdin=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                cwd="/",
                # The terminal's Ctrl-C goes to the parent's process group, not to the guard's.
                start_new_session=True,
            )
        assert self._process.stdin is not None
        self._pipe = self._process.stdin
        self.pid = self._process.pid
        _guards.add(self)

    def note(self, kind: str, value: object) -> None:
        """Write one line.

        Raises:
            SupervisionError: The guard has been killed.
        """
        try:
            with self._lock:
                self._pipe.write(f"{kind} {value}\n".encode())
        except BrokenPipeError as error:
            # Imported here, because the guard itself does without the package.
            from voting_infra.exceptions import SupervisionError

            raise SupervisionError("the guard process has been killed") from error

    def close(self) -> None:
        """Wait until the guard has removed what is still there, and has ended."""
        with self._lock:
            self._pipe.close()
            self._process.wait()


_guards: "weakref.WeakSet[Guard]" = weakref.WeakSet()


def _close_pipes() -> None:
    for guard in list(_guards):
        guard._pipe.close()


# A fork without exec (multiprocessing) would keep the pipe open beyond the parent's end.
os.register_at_fork(after_in_child=_close_pipes)


def main() -> None:
    """Collect facts until the parent has ended, then clean up what is left."""
    directories: list[Path] = []
    labels: list[str] = []
    paused: set[psutil.Process] = set()
    for line in sys.stdin:
        if not line.endswith("\n"):
            break  # an incomplete path may be that of another directory
        match line.rstrip("\n").split(" ", 1):
            case ["directory", path]:
                directories.append(Path(path))
            case ["containers", label]:
                labels.append(label)
            case ["paused", pid]:
                paused |= _find_process(int(pid))
    for process in paused:
        # psutil resumes no process that merely has the id of one that has ended.
        with contextlib.suppress(sys.modules["psutil"].NoSuchProcess):
            process.resume()
    for label in labels:
        _remove_containers(label)
    _remove_directories([path for path in directories if path.exists()])


def _find_process(pid: int) -> "set[psutil.Process]":
    # Imported here: it takes longer than the rest of the start, and is seldom needed.
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        return {psutil.Process(pid)}
    return set()


def _remove_containers(label: str) -> None:
    from docker.errors import APIError

    from voting_infra.engine import open_engine

    with open_engine() as engine:
        for container in engine.containers.list(all=True, filters={"label": label}):
            _log(f"removing the container {container.name}")
            try:
                container.remove(v=True, force=True)
            except APIError as error:
                _log(f"{container.name} stays: {error}")


def _remove_directories(directories: list[Path]) -> None:
    for path in directories:
        _log(f"removing {path}")
    # Repeatedly: a child of a child may take a moment to end, and write until then.
    for _ in range(_REMOVALS if directories else 0):
        for path in directories:
            shutil.rmtree(path, ignore_errors=True)
        time.sleep(_REMOVAL_INTERVAL_S)
    for path in filter(Path.exists, directories):
        _log(f"{path} stays")


def _log(text: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
    print(f"{stamp} the parent was killed: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
