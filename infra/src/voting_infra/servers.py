"""What the servers of a stack have in common."""

import logging
import time
from collections.abc import Callable
from typing import Protocol

from voting_infra.exceptions import ChildExited, ChildTimeout, PortTaken, SupervisionError
from voting_infra.ports import free_ports
from voting_infra.processes import Child, Command
from voting_infra.supervisor import Supervisor

_log = logging.getLogger(__name__)

PORT_ATTEMPTS = 5
"""How often a server tries another port when another process takes the one chosen."""

_POLL_S = 0.05


class Server(Protocol):
    """A server that faults can be injected into; its address and data outlive them all."""

    @property
    def running(self) -> bool:
        """Whether its process is there (it may be paused)."""

    def start(self) -> None:
        """Start it on its data and address and return when it answers."""

    def stop(self, timeout: float = 30.0) -> None:
        """Stop it in an orderly way; kill it after the timeout, in seconds."""

    def kill(self) -> None:
        """End it at once, as a crash does (SIGKILL)."""

    def pause(self) -> None:
        """Freeze it: connections stay open and requests are not answered (SIGSTOP)."""

    def resume(self) -> None:
        """Let it run again after `pause` (SIGCONT)."""


def answers_in_time(
    answers: Callable[[float], bool], check: Callable[[], None], timeout: float
) -> bool:
    """Wait until a server answers, and return whether it does.

    Args:
        answers: Returns whether it answers within some seconds.
        check: Raises an error if it has ended.
        timeout: Seconds.
    """
    deadline = time.monotonic() + timeout
    while not answers(min(1.0, max(_POLL_S, deadline - time.monotonic()))):
        check()
        if time.monotonic() > deadline:
            return False
        # Nothing announces that a server is ready.
        time.sleep(_POLL_S)
    return True


class EmbeddedServer:
    """A server that is a child process; `Server` says what the methods do.

    Subclasses define how it is run (`_command`) and when it answers (`_answers`).
    """

    name: str
    port_count = 1

    def __init__(self, supervisor: Supervisor, timeout: float) -> None:
        """Prepare a server that does not run yet.

        Args:
            supervisor: Runs it.
            timeout: Seconds within which it must answer after a start.
        """
        self.log_path = supervisor.log_dir / f"{self.name.lower()}.log"
        self._supervisor = supervisor
        self._timeout = timeout
        self._ports: list[int] = []
        self._child: Child | None = None

    def _command(self) -> Command:
        """Return how the server is run on its data and ports."""
        raise NotImplementedError

    def _answers(self, timeout: float) -> bool:
        """Return whether this very server answers its protocol within some seconds."""
        raise NotImplementedError

    @property
    def running(self) -> bool:
        """Whether its process is there (it may be paused)."""
        return self._child is not None and self._child.returncode is None

    @property
    def child(self) -> Child:
        """Its process, the last one if it does not run.

        Raises:
            SupervisionError: It has never been started.
        """
        if self._child is None:
            raise SupervisionError(f"{self.name} has not been started")
        return self._child

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
        if not self._ports:
            self._ports = free_ports(self.port_count)
        log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        child = self._child = self._supervisor.start(self._command())
        try:
            if not answers_in_time(self._answers, child.check, self._timeout):
                what = f"has not answered within {self._timeout:g} s"
                raise ChildTimeout(self.name, what, self.log_path)
        except ChildExited as error:
            if self._logs_port_taken(log_start):
                what = f"cannot have port {' and '.join(map(str, self._ports))}"
                raise PortTaken(self.name, what, self.log_path) from error
            raise
        except BaseException:
            child.kill()
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

    def _run_tool(self, command: Command, timeout: float) -> None:
        """Run a program that prepares the server's data.

        Raises:
            ChildExited: It fails.
            ChildTimeout: It does not end in time.
        """
        child = self._supervisor.start(command)
        if status := child.wait(timeout):
            raise ChildExited(child.name, f"has failed with {status}", command.log_path)

    def _logs_port_taken(self, log_start: int) -> bool:
        with self.log_path.open("rb") as log:
            log.seek(log_start)
            return b"Address already in use" in log.read()
