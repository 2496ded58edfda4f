"""Services that are restarted whenever they end, as by an operator's restart policy."""

import threading
import time
from collections import Counter
from collections.abc import Iterable

import attrs

from voting_infra import Child, ChildTimeout, Command, Supervisor
from voting_infra.logs import tail
from voting_infra.processes import describe_exit

__all__ = ["RestartPolicy", "Restarts", "Service"]

CHECK_SECONDS = 0.1
BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 5.0
HEALTHY_AFTER_SECONDS = 30.0
START_SECONDS = 60.0


@attrs.define
class Restarts:
    """Counts unexpected exits.

    Attributes:
        private: Texts that are left out of the lines, such as the path of a directory.
    """

    private: tuple[str, ...] = ()
    _counts: Counter[tuple[str, str]] = attrs.field(factory=Counter, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def add(self, child: Child) -> None:
        """Count an exit."""
        line = self._describe(child)
        with self._lock:
            self._counts[child.name, line] += 1

    def rows(self) -> list[dict[str, str | int]]:
        """Return the counts by service and last line, as JSON objects."""
        with self._lock:
            return [
                {"service": service, "line": line, "times": times}
                for (service, line), times in sorted(self._counts.items())
            ]

    def _describe(self, child: Child) -> str:
        code = child.returncode or 0
        lines = tail(child.log_path, 40).splitlines()
        # Spark's Java may log after the command's own last line.
        own = [line for line in lines if line.startswith("voting-")] or lines
        last = own[-1] if own and code >= 0 else ""
        for text in self.private:
            last = last.replace(text, "…")
        return f"{describe_exit(code)}: {last}" if last else describe_exit(code)


class Service:
    """A service that has a process, except between an exit and a restart.

    The methods may be called from any thread.
    """

    def __init__(self, supervisor: Supervisor, command: Command, restarts: Restarts) -> None:
        self.command = command
        self._supervisor = supervisor
        self._restarts = restarts
        self._changed = threading.Condition()
        self._wanted = False
        self._child: Child | None = None
        self._killed: Child | None = None
        self._due = 0.0
        self._failures = 0
        self._started = 0.0

    @property
    def name(self) -> str:
        """The service's name."""
        return self.command.name

    def start(self) -> None:
        """Start it, and restart it whenever it ends from now on."""
        with self._changed:
            self._wanted = True
            self._due = 0.0
        self.restart_if_due()

    def restart_if_due(self) -> None:
        """Restart it if it has ended and its backoff has passed."""
        with self._changed:
            if not self._wanted:
                return
            now = time.monotonic()
            if self._child is not None and self._child.returncode is not None:
                self._due = now + self._backoff(self._child, now - self._started)
                self._child = None
            if self._child is None and now >= self._due:
                self._child = self._supervisor.start(self.command)
                self._started = now
                self._changed.notify_all()

    def _backoff(self, ended: Child, uptime: float) -> float:
        if ended is self._killed:
            return 0.0
        self._restarts.add(ended)
        self._failures = 0 if uptime > HEALTHY_AFTER_SECONDS else self._failures + 1
        return min(BACKOFF_SECONDS * 2.0**self._failures, LONGEST_BACKOFF_SECONDS)

    def running(self) -> Child:
        """Return its process, waiting for a restart.

        Raises:
            ChildTimeout: There is none after a minute.
        """
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._child is not None and self._child.returncode is None, START_SECONDS
            ):
                raise ChildTimeout(self.name, "is not restarted", self.command.log_path)
            assert self._child is not None
            return self._child

    def kill(self, *, leader_only: bool = False) -> None:
        """Kill its process, which is then restarted at once.

        Args:
            leader_only: Only the process itself, not those that it has started.
        """
        child = self.running()
        with self._changed:
            self._killed = child
        if leader_only:
            child.kill_leader()
        else:
            child.kill()

    def kill_without_restart(self) -> None:
        """Kill its process; it has none until `start`."""
        child = self.running()
        with self._changed:
            self._wanted = False
            self._killed = child
        child.kill()

    def replace(self, successor: Child | None = None) -> Child:
        """Give the service another process, and leave the present one alone.

        Args:
            successor: The other process; by default a new one is started.

        Returns:
            The process that was replaced, which still runs.
        """
        child = self.running()
        with self._changed:
            self._child = successor or self._supervisor.start(self.command)
            self._started = time.monotonic()
            self._changed.notify_all()
        return child

    def release(self) -> Child | None:
        """Stop restarting it, and return its present process."""
        with self._changed:
            self._wanted = False
            return self._child


class RestartPolicy:
    """Restarts services, in a thread of its own."""

    def __init__(self, supervisor: Supervisor, services: Iterable[Service]) -> None:
        self._supervisor = supervisor
        self._services = list(services)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="restart-policy", daemon=True)
        self._thread.start()

    def add(self, service: Service) -> None:
        """Restart one more service from now on."""
        with self._lock:
            self._services.append(service)

    def close(self) -> None:
        """Restart no service any more, and stop all of them."""
        self._closing.set()
        self._thread.join()
        children = [service.release() for service in self._services]
        self._supervisor.stop_all([child for child in children if child is not None])

    def _run(self) -> None:
        while not self._closing.wait(CHECK_SECONDS):
            with self._lock:
                services = list(self._services)
            for service in services:
                service.restart_if_due()
