"""The owner of child processes and temporary directories."""

import contextlib
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from voting_infra.child import Child, Command
from voting_infra.exceptions import SupervisionError
from voting_infra.reaper import Reaper


class Supervisor:
    """Starts children and makes temporary directories, and leaves none of them behind.

    Leaving its `with` block ends the children, all at the same time, and removes the
    directories. If this process is killed before that, a reaper process does it.
    """

    def __init__(self, log_dir: Path) -> None:
        """Starts the reaper.

        Args:
            log_dir: For the reaper's log; made if it does not exist.

        Raises:
            SupervisionError: The reaper does not start.
        """
        log_dir.mkdir(parents=True, exist_ok=True)
        self.log_dir = log_dir
        self._lock = threading.Lock()
        self._closed = False
        self._children: list[Child] = []
        self._directories: list[Path] = []
        self._reaper = Reaper(log_dir / "reaper.log")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self, command: Command) -> Child:
        """Starts a child.

        Args:
            command: What to run.

        Raises:
            SupervisionError: It cannot be started, or this supervisor is closed.
        """
        with self._lock:
            self._check_open()
            self._children = [child for child in self._children if child.returncode is None]
            child = Child(command, self._reaper)
            self._children.append(child)
        child.release()
        return child

    def make_directory(self, purpose: str, parent: Path | None = None) -> Path:
        """Makes a temporary directory that only this user can enter.

        Args:
            purpose: A word for its name.
            parent: Where; in the system's directory for temporary files by default.

        Raises:
            SupervisionError: This supervisor is closed.
            OSError: It cannot be made.
        """
        root = parent or Path(tempfile.gettempdir())
        path = (root / f"voting-{purpose}-{secrets.token_hex(6)}").absolute()
        with self._lock:
            self._check_open()
            self._reaper.guard_directory(path)
            path.mkdir(mode=0o700)
            self._directories.append(path)
        return path

    def guard_container(self, name: str) -> None:
        """Has a container removed should this process be killed; to be called before it is made.

        Args:
            name: Of the container.

        Raises:
            SupervisionError: This supervisor is closed.
        """
        with self._lock:
            self._check_open()
            self._reaper.guard_command(_removal_command(name))

    def release_container(self, name: str) -> None:
        """Takes back `guard_container`, once the container has been removed."""
        self._reaper.release_command(_removal_command(name))

    def stop_all(self, children: Sequence[Child], timeout: float = 20.0) -> None:
        """Ends children, all at the same time.

        Args:
            children: Which.
            timeout: Seconds after which those that have not ended are killed.

        Raises:
            SupervisionError: One survives even that.
        """
        for child in children:
            child.ask_to_stop()
        deadline = time.monotonic() + timeout
        for child in children:
            child.wait_or_kill(max(0.0, deadline - time.monotonic()))

    def close(self, timeout: float = 20.0) -> None:
        """Ends all children, at the same time, and removes the directories.

        Args:
            timeout: Seconds after which children that have not ended are killed.

        Raises:
            SupervisionError: A child survives even that; the directories stay then.
            OSError: A directory cannot be removed.
        """
        with self._lock:
            self._closed = True
            children = list(self._children)
        # Should anything below fail, the end of the reaper's pipe is what cleans up.
        with contextlib.closing(self._reaper):
            self.stop_all(children, timeout)
            for path in self._directories:
                if path.exists():
                    shutil.rmtree(path)
                self._reaper.release_directory(path)
            self._directories.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise SupervisionError("the supervisor is closed")


def _removal_command(container: str) -> list[str]:
    return [sys.executable, "-m", "voting_infra.container_removal", container]
