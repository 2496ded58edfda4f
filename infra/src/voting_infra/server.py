"""What the servers of a stack have in common."""

import logging
import time
from typing import Protocol

from voting_infra.child import Child, Command
from voting_infra.exceptions import (
    ChildExited,
    ChildTimeout,
    PortTaken,
    SupervisionError,
)
from voting_infra.logs import tail
from voting_infra.ports import free_ports
from voting_infra.supervisor import Supervisor

_log = logging.getLogger(__name__)

PORT_ATTEMPTS = 5
"""How often a server tries another port when somebody grabs the one chosen."""

_POLL_S = 0.05


class Server(Protocol):
    """A server that faults can be injected into; its address and data outlive them all."""

    @property
    def running(self) -> bool:
        """Whether its process is there (it may be paused)."""

    def start(self) -> None:
        """Starts it on its data and address and returns when it answers."""

    def stop(self, timeout: float = 30.0) -> None:
        """Stops it in an orderly way; kills it after the timeout, in seconds."""

    def kill(self) -> None:
        """Ends it at once, as a crash does (SIGKILL)."""

    def pause(self) -> None:
        """Freezes it: connections stay open and nobody answers (SIGSTOP)."""

    def resume(self) -> None:
        """Lets it run again after `pause` (SIGCONT)."""


class EmbeddedServer:
    """A server that is a child process; `Server` says what the methods do.

    Subclasses say how it is run (`_command`) and when it answers (`_answers`).
    """

    name: str
    port_count = 1

    def __init__(self, supervisor: Supervisor, timeout: float) -> None:
        """Prepares a server that does not run yet.

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
        """Says how the server is run on its data and ports."""
        raise NotImplementedError

    def _answers(self, timeout: float) -> bool:
        """Tells whether this very server answers its protocol, waiting at most some seconds."""
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
        """Starts the server on its data and ports and returns when it answers.

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
        deadline = time.monotonic() + self._timeout
        try:
            while not self._answers(min(1.0, max(_POLL_S, deadline - time.monotonic()))):
                child.check()
                if time.monotonic() > deadline:
                    what = f"has not answered within {self._timeout:g} s"
                    raise ChildTimeout(self.name, what, self.log_path, tail(self.log_path))
                self._await_poll_or_end(child)
        except ChildExited as error:
            if self._says_port_taken(log_start):
                what = f"cannot have port {' and '.join(map(str, self._ports))}"
                raise PortTaken(self.name, what, self.log_path, tail(self.log_path)) from error
            raise
        except BaseException:
            child.kill()
            raise

    def start_on_free_ports(self) -> None:
        """Starts the server for the first time, on other ports if somebody grabs those chosen.

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
        """Stops the server in an orderly way; kills it after the timeout, in seconds."""
        self.child.stop(timeout)

    def kill(self) -> None:
        """Ends the server at once, as a crash does."""
        self.child.kill()

    def pause(self) -> None:
        """Freezes the server: connections stay open and nobody answers."""
        self.child.pause()

    def resume(self) -> None:
        """Lets the server run again after `pause`."""
        self.child.resume()

    def _await_poll_or_end(self, child: Child) -> None:
        try:
            child.wait(_POLL_S)
        except ChildTimeout:
            return
        child.check()

    def _says_port_taken(self, log_start: int) -> bool:
        with self.log_path.open("rb") as log:
            log.seek(log_start)
            return b"Address already in use" in log.read()
