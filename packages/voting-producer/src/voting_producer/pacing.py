"""Sending no more than so many voters a second, evenly."""

import time
from collections.abc import Callable

import attrs

__all__ = ["Pace"]

# Ten batches a second look even, and cost little.
_BATCHES_PER_SECOND = 10

# Longer hold-ups are not made up for: a burst afterwards would break the promise of the rate.
_FORGIVEN_SECONDS = 1.0


@attrs.define
class Pace:
    """Says when the next batch may go, and how large it may be.

    Attributes:
        rate: Voters a second, or None for as fast as possible.
    """

    rate: float | None = None
    _clock: Callable[[], float] = time.monotonic
    _sleep: Callable[[float], None] = time.sleep
    _start: float | None = attrs.field(default=None, init=False)

    def batch_size(self, largest: int) -> int:
        """Return how many ballots to send at once, at most `largest`."""
        if self.rate is None:
            return largest
        return min(largest, max(1, int(self.rate / _BATCHES_PER_SECOND)))

    def wait(self, sent: int) -> None:
        """Wait until more may follow those that were sent so far."""
        if self.rate is None:
            return
        now = self._clock()
        if self._start is None:
            self._start = now
        ahead = self._start + sent / self.rate - now
        if ahead > 0:
            self._sleep(ahead)
        elif ahead < -_FORGIVEN_SECONDS:
            self._start -= ahead
