"""Ending a service that has nothing left to do."""

import time
from collections.abc import Callable

import attrs


@attrs.define
class IdleTimer:
    """Measures the time since the last activity.

    Attributes:
        timeout: Seconds until the timer expires; None if it never does.
    """

    timeout: float | None
    _clock: Callable[[], float] = time.monotonic
    _last_activity: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Record activity."""
        self._last_activity = self._clock()

    @property
    def expired(self) -> bool:
        """Whether the last activity was at least `timeout` seconds ago."""
        return self.timeout is not None and self._clock() - self._last_activity >= self.timeout
