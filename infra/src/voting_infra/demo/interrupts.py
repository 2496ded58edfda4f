"""SIGINT and SIGTERM as a KeyboardInterrupt that cannot get lost."""

import signal
from types import FrameType


class Interrupts:
    """Raises KeyboardInterrupt when a signal arrives, and again at the next check.

    Python ignores an error that is raised in a finalizer, and a signal can arrive in one.
    """

    def __init__(self) -> None:
        self._received = False

    def install(self) -> None:
        """Handle both signals from now on; in the main thread only."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)

    def check(self) -> None:
        """Do nothing until a signal has arrived.

        Raises:
            KeyboardInterrupt: One has.
        """
        if self._received:
            raise KeyboardInterrupt

    def _receive(self, _: int, __: FrameType | None) -> None:
        self._received = True
        raise KeyboardInterrupt
