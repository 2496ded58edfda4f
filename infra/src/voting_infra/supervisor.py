"""The owner of child processes and temporary directories."""

import contextlib
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Self

from voting_infra.exceptions import SupervisionError
from voting_infra.guard import Guard
from voting_infra.processes import Child, Command


class Supervisor:
    """Starts children and makes temporary directories, and leaves none of them behind.

    Leaving its `with` block ends the children, all at the same time, and removes the directories.
    If this process is killed before that, the kernel ends the children on Linux, and a guard
    process removes the directories.

    Attributes:
        log_dir: For logs.
    """

    def __init__(self, log_dir: Path) -> None:
        """Start the guard; the directory for logs is made if it does not exist."""
        log_dir.mkdir(parents=True, exist_ok=True)
        self.log_dir = log_dir
        self._lock = threading.Lock()
        self._closed = False
        self._starts: list[Future[Child]] = []
        self._directories: list[Path] = []
        self._guard = Guard(log_dir / "guard.log")
        # To the kernel the parent is the thread that forks, whose end ends the children: it has to
        # live as long as they may.
        self._forks = ThreadPoolExecutor(1, thread_name_prefix="fork")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, command: Command) -> Child:
        """Start a child.

        Raises:
            SupervisionError: It cannot be started, or this supervisor is closed.
        """
        with self._lock:
            self._check_open()
            start = self._forks.submit(Child, command, partial(self._guard.note, "paused"))
            # Recorded before the result: an interrupted wait for it must not lose the child.
            self._starts.append(start)
        return start.result()

    def make_directory(self, purpose: str, parent: Path | None = None) -> Path:
        """Make a temporary directory that only this user can enter.

        Args:
            purpose: A word for its name.
            parent: Where; in the system's directory for temporary files by default.

        Raises:
            SupervisionError: This supervisor is closed, or its guard has been killed.
            OSError: It cannot be made.
        """
        root = parent or Path(tempfile.gettempdir())
        path = (root / f"voting-{purpose}-{secrets.token_hex(6)}").absolute()
        with self._lock:
            self._check_open()
            self._guard.note("directory", path)
            path.mkdir(mode=0o700)
            self._directories.append(path)
        return path

    def guard_containers(self, label: str) -> None:
        """Have the containers with a label, `key=value`, removed should this process be killed."""
        with self._lock:
            self._check_open()
            self._guard.note("containers", label)

    def stop_all(self, children: Iterable[Child], timeout: float = 20.0) -> None:
        """End children, all at the same time; after the timeout, in seconds, kill them.

        Raises:
            SupervisionError: One survives.
        """
        children = list(children)
        with ThreadPoolExecutor(len(children) + 1, thread_name_prefix="stop") as threads:
            stops = [threads.submit(child.stop, timeout) for child in children]
        for stop in stops:
            stop.result()

    def close(self, timeout: float = 20.0) -> None:
        """End all children as `stop_all` does, and remove the directories.

        Raises:
            SupervisionError: A child survives; the directories stay then.
            OSError: A directory cannot be removed.
        """
        with self._lock:
            self._closed = True
        # Should anything below fail, the end of the guard's pipe is what cleans up.
        with contextlib.closing(self._guard):
            wait(self._starts)
            self.stop_all([s.result() for s in self._starts if s.exception() is None], timeout)
            self._forks.shutdown()
            for path in self._directories:
                if path.exists():
                    shutil.rmtree(path)
            self._directories.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise SupervisionError("the supervisor is closed")
