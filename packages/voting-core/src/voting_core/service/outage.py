"""Waiting out an outage of Kafka or PostgreSQL, with few log lines and a growing pause."""

import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from voting_core.exceptions import one_line

LOG_SECONDS = 60.0
WAIT_INITIAL = 0.2
WAIT_MAX = 5.0
STEP_SECONDS = 0.2
"""How soon a request to stop ends a wait."""

T = TypeVar("T")

log = structlog.get_logger()


class OutageLog:
    """Logs the outage of one dependency: its begin, a line a minute, and its end.

    A service that tries again every few seconds would otherwise fill its log.
    """

    def __init__(self, what: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without an outage.

        Args:
            what: The dependency, such as "Kafka at localhost:9092".
            clock: Returns seconds.
        """
        self._what = what
        self._clock = clock
        self._began: float | None = None
        self._logged = 0.0

    @property
    def is_out(self) -> bool:
        """Whether the last attempt failed."""
        return self._began is not None

    def failed(self, error: BaseException) -> None:
        """Record a failed attempt."""
        now = self._clock()
        if self._began is None:
            self._began = now
        elif now - self._logged < LOG_SECONDS:
            return
        self._logged = now
        log.warning(
            "unavailable",
            dependency=self._what,
            seconds=round(now - self._began, 1),
            error=one_line(error),
        )

    def recovered(self) -> None:
        """Record a successful attempt; the first one after an outage is logged."""
        if self._began is not None:
            seconds = round(self._clock() - self._began, 1)
            log.info("available again", dependency=self._what, seconds=seconds)
            self._began = None


def retry_until_available(
    function: Callable[[], T],
    *,
    retry_on: Callable[[Exception], bool],
    outage: OutageLog,
    should_stop: Callable[[], bool],
    timeout: float | None = None,
    wait_initial: float = WAIT_INITIAL,
    wait_max: float = WAIT_MAX,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Return the result of an idempotent function, repeated until the dependency is available.

    Args:
        function: Called until it succeeds.
        retry_on: Whether an error is an outage; other errors are raised at once.
        outage: Logs the outage.
        should_stop: Whether to give up, at the latest after `STEP_SECONDS`.
        timeout: Seconds after which to give up; None for never.
        wait_initial: Seconds before the second attempt, doubled before each further one.
        wait_max: Maximum of that wait.
        clock: Returns seconds.
        sleep: Waits some seconds.

    Raises:
        Exception: The function's last error, when it is given up or not an outage.
    """
    began, wait = clock(), wait_initial
    while True:
        try:
            result = function()
        except Exception as error:
            if not retry_on(error):
                raise
            outage.failed(error)
            until = clock() + wait
            while not should_stop() and clock() < until:
                sleep(min(STEP_SECONDS, until - clock()))
            if should_stop() or (timeout is not None and clock() - began >= timeout):
                raise
            wait = min(2 * wait, wait_max)
        else:
            outage.recovered()
            return result
