"""Saying what the demo is doing, and how long each phase took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["PhaseClock"]


class PhaseClock:
    """Times phases and tells them as they end."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        """Start the clock.

        Args:
            tell: Shows one line.
        """
        self._tell = tell
        self._began = time.monotonic()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what happens inside, if it ends well."""
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 1)
        self._tell(
            f"{name:<28}{self.seconds[name]:>8.1f} s"
            f"{time.monotonic() - self._began:>8.1f} s since the start"
        )
