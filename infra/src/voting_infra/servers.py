"""What the servers of a stack have in common."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from voting_infra.exceptions import ChildExited, ChildTimeout, PortTaken, SupervisionError
from voting_infra.ports import free_ports
from voting_infra.processes import Child, Command
from voting_infra.supervisor import Supervisor

_log = logging.getLogger(__name__)

# How often a server starts on other ports when another process takes those chosen.
PORT_ATTEMPTS = 5
_POLL_S = 0.05


class Server(ABC):
    """A server that faults can be injected into; its address and data outlive them all.

    Subclasses define how it is run, and when it answers (`_answers`).

    Attributes:
        name: What messages call it.
        log_path: Its log.
    """

    name: str
    port_count = 1

    def __init__(self, supervisor: Supervisor, timeout: float) -> None:
        """Prepare a server that does not run yet.

        Args:
            supervisor: Owns what the server leaves on this machine.
            timeout: Seconds within which it must answer after a start.
        """
        self.log_path = supervisor.log_dir / f"{self.name.lower()}.log"
        self._supervisor = supervisor
        self._timeout = timeout
        self._ports: list[int] = []

    @property
    @abstractmethod
    def running(self) -> bool:
        """Whether its process is there (it may be paused)."""

    @abstractmethod
    def stop(self, timeout: float = 30.0) -> None:
        """Stop it in an orderly way; kill it after the timeout, in seconds."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once, as a crash does (SIGKILL)."""

    @abstractmethod
    def pause(self) -> None:
        """Freeze it: connections stay open and requests are not answered (SIGSTOP)."""

    @abstractmethod
    def resume(self) -> None:
        """Let it run again after `pause` (SIGCONT)."""

    @abstractmethod
    def _begin(self) -> None:
        """Start the process on the server's data and ports.

        Raises:
            PortTaken: Another process has its port.
        """

    @abstractmethod
    def _check(self) -> None:
        """Do nothing while the process runs.

        Raises:
            PortTaken: It has ended because another process has its port.
            ChildExited: It has ended for another reason.
        """

    @abstractmethod
    def _answers(self, timeout: float) -> bool:
        """Return whether this very server answers its protocol within some seconds."""

    def start(self) -> None:
        """Start the server on its data and ports and return when it answers.

        It does nothing if the server runs.

        Raises:
            PortTaken: Another process has its port.
            ChildExited: It ended instead; with the last lines of its log.
            ChildTimeout: It did not answer in time, and has been killed.
        """
        if self.running:
            return
        self._begin()
        deadline = time.monotonic() + self._timeout
        try:
            while not self._answers(min(1.0, max(_POLL_S, deadline - time.monotonic()))):
                self._check()
                if time.monotonic() > deadline:
                    self.kill()
                    what = f"has not answered within {self._timeout:g} s"
                    raise ChildTimeout(self.name, what, self.log_path)
                # Nothing announces that a server is ready.
                time.sleep(_POLL_S)
        except BaseException:
            self.kill()
            raise

    def start_on_free_ports(self) -> None:
        """Start the server for the first time, on other ports if those chosen are taken meanwhile.

        Raises:
            ChildError: As `start`.
        """
        for attempt in range(1, PORT_ATTEMPTS + 1):
            self._ports = free_ports(self.port_count)
            try:
                self.start()
                return
            except PortTaken as error:
                if attempt == PORT_ATTEMPTS:
                    raise
                _log.info("%s; trying others", error)

    def _port_taken(self) -> PortTaken:
        what = f"cannot have port {' and '.join(map(str, self._ports))}"
        return PortTaken(self.name, what, self.log_path)


class EmbeddedServer(Server):
    """A server that is a child process, which `_command` runs."""

    _child: Child | None = None
    _log_start = 0

    @abstractmethod
    def _command(self) -> Command:
        """Return how the server is run on its data and ports."""

    @property
    def running(self) -> bool:
        """Whether its process is there (it may be paused)."""
        return self._child is not None and self._child.returncode is None

    @property
    def child(self) -> Child:
        """Its process, the last one if it does not run."""
        if self._child is None:
            raise SupervisionError(f"{self.name} has not been started")
        return self._child

    def stop(self, timeout: float = 30.0) -> None:
        """Stop the server in an orderly way; kill it after the timeout, in seconds."""
        self.child.stop(timeout)

    def kill(self) -> None:
        """End the server at once, as a crash does."""
        self.child.kill()

    def pause(self) -> None:
        """Freeze the server: connections stay open and requests are not answered."""
        self.child.pause()

    def resume(self) -> None:
        """Let the server run again after `pause`."""
        self.child.resume()

    def _begin(self) -> None:
        self._log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        self._child = self._supervisor.start(self._command())

    def _check(self) -> None:
        try:
            self.child.check()
        except ChildExited as error:
            with self.log_path.open("rb") as log:
                log.seek(self._log_start)
                if b"Address already in use" in log.read():
                    raise self._port_taken() from error
            raise

    def _run_tool(self, command: Command, timeout: float) -> None:
        """Run a program that prepares the server's data to its end, which must be a success."""
        child = self._supervisor.start(command)
        if status := child.wait(timeout):
            raise ChildExited(child.name, f"has failed with {status}", command.log_path)


def run_together(
    actions: Iterable[Callable[[], None]], on_failure: Callable[[], object] = lambda: None
) -> None:
    """Run actions at the same time; a failure is acted on before the others are waited for."""
    actions = list(actions)
    with ThreadPoolExecutor(len(actions), thread_name_prefix="start") as threads:
        try:
            futures = [threads.submit(action) for action in actions]
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()
        except BaseException:
            on_failure()
            raise
