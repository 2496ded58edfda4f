"""SIGTERM and SIGINT as a request to stop gracefully."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequested(BaseException):
    """Raised out of an interruptible block; only the outermost function of a service catches it."""


class StopSignal:
    """A request to stop; a second signal terminates the process immediately.

    Attributes:
        signum: The signal that was received, or None.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._interruptible = False
        self._callbacks: list[Callable[[], object]] = []

    @property
    def requested(self) -> bool:
        """Whether a signal was received."""
        return self.signum is not None

    @property
    def exit_code(self) -> int:
        """The shell's exit code for a process terminated by the signal; 0 without a signal."""
        return 0 if self.signum is None else 128 + self.signum

    def request(self, signum: int, _: FrameType | None = None) -> None:
        """Record a signal; this is the signal handler.

        Raises:
            StopRequested: The process is in an interruptible block.
        """
        self.signum = signum
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        for callback in self._callbacks:
            callback()
        if self._interruptible:
            raise StopRequested

    def on_request(self, callback: Callable[[], object]) -> None:
        """Register a function for the signal handler to call; it must not block."""
        self._callbacks.append(callback)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Run a block that a signal may abort at any point.

        Raises:
            StopRequested: A signal was received before or during the block.
        """
        self._interruptible = True
        try:
            if self.requested:
                raise StopRequested
            yield
        except SystemError as error:
            # So arrives what a handler raises inside a C function that does not look for it.
            if isinstance(error.__cause__, StopRequested):
                raise StopRequested from error
            raise
        finally:
            self._interruptible = False

    @contextmanager
    def handle(self) -> Iterator[None]:
        """Handle SIGTERM and SIGINT during the block; in the main thread only."""
        previous = {number: signal.signal(number, self.request) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
