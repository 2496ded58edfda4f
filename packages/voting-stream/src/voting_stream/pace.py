"""The pace of the count."""

import time
from collections import deque
from collections.abc import Callable

SECONDS = 5.0


class Pace:
    """Measures the votes counted per second, over the last five seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without a measurement.

        Args:
            clock: Returns seconds.
        """
        self._clock = clock
        self._counted: deque[tuple[float, int]] = deque()

    def add(self, votes: int) -> None:
        """Add the number of all votes counted until now."""
        now = self._clock()
        self._counted.append((now, votes))
        # One measurement stays that is as old as the window.
        while len(self._counted) > 2 and now - self._counted[1][0] >= SECONDS:
            self._counted.popleft()

    @property
    def votes_per_second(self) -> float:
        """The pace; 0 until five seconds are measured."""
        if not self._counted:
            return 0.0
        (began, before), (now, votes) = self._counted[0], self._counted[-1]
        return (votes - before) / (now - began) if now - began >= SECONDS else 0.0
