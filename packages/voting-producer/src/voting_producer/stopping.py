"""Ending in an orderly way on SIGTERM and SIGINT."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Stop", "Stopped"]


class Stopped(BaseException):
    """Raised out of a wait that a signal ended; nothing but the main loop should catch it."""


class Stop:
    """Remembers that the process was asked to stop.

    A batch on its way is finished; waits and reading from the source end at once.

    Attributes:
        signum: The signal that came, or None.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._interruptible = False

    @property
    def requested(self) -> bool:
        """Whether the process was asked to stop."""
        return self.signum is not None

    @property
    def exit_code(self) -> int:
        """The code that a shell reports for a process that this signal ended; 0 without one."""
        return 0 if self.signum is None else 128 + self.signum

    def request(self, signum: int, _: FrameType | None = None) -> None:
        """Take note of a signal, as its handler; the next one ends the process at once."""
        self.signum = signum
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        if self._interruptible:
            raise Stopped

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Run what may be broken off anywhere.

        Raises:
            Stopped: A signal came, before or meanwhile.
        """
        self._interruptible = True
        try:
            if self.requested:
                raise Stopped
            yield
        finally:
            self._interruptible = False

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Handle SIGTERM and SIGINT meanwhile; for the main thread."""
        before = {n: signal.signal(n, self.request) for n in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
