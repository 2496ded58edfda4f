"""Sending at a steady rate."""

import time
from collections.abc import Callable

import attrs

# Ten batches a second look steady at little cost.
_BATCHES_PER_SECOND = 10

# A longer delay is not made up for, because the burst would exceed the rate.
_MAX_LAG_SECONDS = 1.0


@attrs.define
class Throttle:
    """Limits when the next batch is sent, and its size.

    Attributes:
        rate: Ballots per second; None for no limit.
    """

    rate: float | None = None
    _clock: Callable[[], float] = time.monotonic
    _sleep: Callable[[float], None] = time.sleep
    _start: float | None = attrs.field(default=None, init=False)

    def batch_size(self, limit: int) -> int:
        """Return the number of ballots in a batch, at most `limit`."""
        if self.rate is None:
            return limit
        return min(limit, max(1, int(self.rate / _BATCHES_PER_SECOND)))

    def wait(self, sent: int) -> None:
        """Wait until the rate allows another ballot after those sent so far."""
        if self.rate is None:
            return
        now = self._clock()
        if self._start is None:
            self._start = now
        ahead = self._start + sent / self.rate - now
        if ahead > 0:
            self._sleep(ahead)
        elif ahead < -_MAX_LAG_SECONDS:
            self._start -= ahead
