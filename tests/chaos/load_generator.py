"""The load: the producer replays one slice of the election after another until all are sent."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from chaos.restart_policy import Restarts
from voting_infra.exceptions import ChildTimeout
from voting_infra.processes import Child, Command
from voting_infra.supervisor import Supervisor

__all__ = ["LoadGenerator"]

BACKOFF_SECONDS = 1.0
START_SECONDS = 120.0
POLL_SECONDS = 0.05
# What the producer logs just before its first ballot.
SENDING = b'"started"'


class LoadGenerator:
    """Sends slices in order; a slice whose producer was killed is sent again from its beginning."""

    def __init__(
        self,
        supervisor: Supervisor,
        slices: Sequence[Path],
        command: Callable[[Path], Command],
        restarts: Restarts,
    ) -> None:
        """Prepare; nothing is sent before `open_up_to`.

        Args:
            supervisor: Runs the producer.
            slices: The results files.
            command: Returns the command that sends one of them.
            restarts: Where failures are counted.
        """
        self._supervisor = supervisor
        self._slices = slices
        self._command = command
        self._restarts = restarts
        self._changed = threading.Condition()
        self._open = 0
        self._repeat_last = False
        self._child: Child | None = None
        self._log_start = 0
        self._killed: Child | None = None
        self._closing = False
        self._sent = 0
        self.moved = time.monotonic()
        self._thread = threading.Thread(target=self._feed, name="load_generator", daemon=True)
        self._thread.start()

    @property
    def sent(self) -> int:
        """How many slices have been sent completely."""
        return self._sent

    @property
    def finished(self) -> bool:
        """Whether every slice has been sent completely."""
        with self._changed:
            return self._sent == len(self._slices) and self._child is None

    def open_up_to(self, share: float) -> None:
        """Let this share of the slices be sent, 1 for all of them."""
        with self._changed:
            self._open = max(self._open, min(len(self._slices), int(share * len(self._slices)) + 1))
            self._changed.notify_all()

    def kill(self, after: float) -> None:
        """Kill the producer while it sends.

        If none runs, the next slice is begun for it, or the last one sent once more.

        Args:
            after: Seconds that the producer gets to send something.

        Raises:
            ChildTimeout: None runs after two minutes.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with self._changed:
                if self._child is None:
                    self._begin_one()
                self._changed.wait_for(self._running, START_SECONDS)
                child, log_start = self._child, self._log_start
            if child is not None:
                _let_send(child, log_start, after)
            with self._changed:
                if child is not None and child.returncode is None:
                    self._killed = child
                    child.kill()
                    return
            # It was done before; the next one gets less time.
            after /= 2
        raise ChildTimeout(
            "voting-producer", "does not run", self._command(self._slices[0]).log_path
        )

    def close(self) -> None:
        """Begin nothing more, and end the producer that runs."""
        with self._changed:
            self._closing = True
            child = self._child
            self._changed.notify_all()
        if child is not None:
            child.stop()
        self._thread.join()

    def _begin_one(self) -> None:
        if self._open < len(self._slices):
            self._open += 1
        elif self._sent == len(self._slices):
            self._repeat_last = True
        self._changed.notify_all()

    def _running(self) -> bool:
        return self._child is not None and self._child.returncode is None

    def _feed(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closing or self._repeat_last or self._sent < self._open
                )
                if self._closing:
                    return
                repeat, self._repeat_last = self._repeat_last, False
                number = self._sent - 1 if repeat else self._sent
            if self._send(self._slices[number]) and not repeat:
                with self._changed:
                    self._sent += 1

    def _send(self, slice_: Path) -> bool:
        """Send a slice until it is complete; return whether it is."""
        while True:
            with self._changed:
                if self._closing:
                    return False
                command = self._command(slice_)
                log = command.log_path
                self._log_start = log.stat().st_size if log.exists() else 0
                child = self._child = self._supervisor.start(command)
                self._changed.notify_all()
            code = child.wait()
            with self._changed:
                self.moved = time.monotonic()
                killed = child is self._killed
                if code == 0 and not killed:
                    self._child = None
                    return True
                if self._closing:
                    self._child = None
                    return False
            if not killed:
                self._restarts.add(child)
                time.sleep(BACKOFF_SECONDS)


def _let_send(child: Child, log_start: int, seconds: float) -> None:
    """Wait until a producer sends, and so long from then on, or until it ends."""
    with child.log_path.open("rb") as log:
        log.seek(log_start)
        said = b""
        while SENDING not in said and child.returncode is None:
            said += log.read()
            time.sleep(POLL_SECONDS)
    try:
        child.wait(seconds)
    except ChildTimeout:
        return
