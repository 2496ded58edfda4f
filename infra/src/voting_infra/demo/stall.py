"""Detecting that a count no longer moves although it has something to do."""

import time
from collections.abc import Callable

import attrs

STALL_SECONDS = 180.0


@attrs.define
class StallTimer:
    """Measures how long the state of the count has stayed the same.

    While nothing is in flight, the count waits for the producer, which may wait for its source: an
    API that limits its callers can take any time. That is no stall.
    """

    timeout: float = STALL_SECONDS
    _clock: Callable[[], float] = time.monotonic
    _last: object = attrs.field(default=None, init=False)
    _changed: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._changed = self._clock()

    def is_stalled(self, state: object, *, in_flight: bool) -> bool:
        """Return whether the state has not changed for the timeout, while records are in flight."""
        if state != self._last or not in_flight:
            self._last, self._changed = state, self._clock()
        return self._clock() - self._changed > self.timeout
