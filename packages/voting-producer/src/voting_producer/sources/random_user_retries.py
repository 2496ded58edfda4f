"""When a request to the Random User API is repeated, and when the client gives up."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import attrs
import structlog

log = structlog.get_logger()


@attrs.frozen
class RetryLimits:
    """How often and how long a request is repeated.

    Attributes:
        attempts: Number of attempts if the API fails or is unreachable.
        backoff: Seconds before the second attempt; doubled before each further one.
        max_backoff: Maximum number of seconds between two attempts.
        rate_limit_interval: Seconds between two attempts while the rate limit applies, if the
            response has no Retry-After header.
        rate_limit_timeout: Maximum number of seconds to wait for the rate limit, whose window is
            300 seconds.
        request_timeout: Seconds without a response after which an attempt has failed.
    """

    attempts: int = 6
    backoff: float = 0.5
    max_backoff: float = 8.0
    rate_limit_interval: float = 15.0
    rate_limit_timeout: float = 330.0
    request_timeout: float = 30.0


class RequestFailedError(Exception):
    """The API is unreachable or has failed: another attempt may succeed."""


class RateLimitedError(Exception):
    """The rate limit applies.

    Attributes:
        retry_after: Seconds after which the API accepts a request; None if it is not known.
    """

    def __init__(self, retry_after: float | None) -> None:
        super().__init__("its rate limit applies (status 429)")
        self.retry_after = retry_after


@attrs.define
class RetrySchedule:
    """Decides, after each failed attempt of one request, how long to wait for the next."""

    url: str
    limits: RetryLimits
    _failures: int = attrs.field(default=0, init=False)
    _limited_since: float | None = attrs.field(default=None, init=False)

    def __call__(self, error: Exception) -> float | Literal[False]:
        """Return the seconds to wait before the next attempt; False to give up."""
        match error:
            case RateLimitedError():
                return self._wait_for_rate_limit(error)
            case RequestFailedError():
                return self._back_off(error)
        return False

    def _back_off(self, error: RequestFailedError) -> float | Literal[False]:
        self._failures += 1
        if self._failures >= self.limits.attempts:
            return False
        wait = min(self.limits.backoff * 2.0 ** (self._failures - 1), self.limits.max_backoff)
        log.warning(
            "the Random User API fails, retrying",
            url=self.url,
            reason=str(error),
            attempt=f"{self._failures} of {self.limits.attempts}",
            wait_seconds=wait,
        )
        return wait

    def _wait_for_rate_limit(self, error: RateLimitedError) -> float | Literal[False]:
        now = time.monotonic()
        if self._limited_since is None:
            self._limited_since = now
        waited = now - self._limited_since
        wait = self.limits.rate_limit_interval if error.retry_after is None else error.retry_after
        if waited + wait > self.limits.rate_limit_timeout:
            return False
        log.warning(
            "waiting for the Random User API's rate limit",
            url=self.url,
            waited_seconds=round(waited),
            wait_seconds=round(wait, 1),
        )
        return wait


def parse_retry_after(
    header: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> float | None:
    """Return the seconds in a Retry-After header, which has a number of them or a date.

    Returns:
        The seconds, at least 0; None without a valid header.
    """
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (moment.astimezone(UTC) - now()).total_seconds())
