"""Asking the Random User API for pages of people, and knowing its ways.

The rules are those of version 1.4, which the path pins:

* more than 5,000 `results` silently give 1 person, a page over 10,000 silently gives page 1:
  neither is ever asked for, and every answer is checked against the question;
* one address gets 20,000 people in 5 minutes, then status 429 with `{"error": …}`: waited out;
* the same seed, page and number of results give the same people.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import attrs
import httpx
import stamina
import structlog

from voting_core.exceptions import InputError, SetupError, UnreachableError

__all__ = ["MAX_PAGE", "MAX_PAGE_SIZE", "ApiError", "Patience", "RandomUserApi"]

VERSION = "1.4"
MAX_PAGE_SIZE = 5000
MAX_PAGE = 10_000
FIELDS = "gender,name,location,email,login,dob,phone,picture,nat"

_log = structlog.get_logger()


class ApiError(SetupError):
    """The API answers, but not with what it was asked for."""


@attrs.frozen
class Patience:
    """How long an API that fails is asked again.

    Attributes:
        attempts: Times that one page is asked for when the API fails or does not answer.
        backoff: Seconds before the second attempt; doubled before each further one.
        longest_backoff: Most seconds between two attempts.
        limit_interval: Seconds between two attempts while the rate limit holds, if the API does
            not say how long.
        limit_total: Most seconds to wait for the rate limit to pass; its window is 300.
        timeout: Seconds without an answer after which an attempt has failed.
    """

    attempts: int = 6
    backoff: float = 0.5
    longest_backoff: float = 8.0
    limit_interval: float = 15.0
    limit_total: float = 330.0
    timeout: float = 30.0


class _FailedError(Exception):
    """The API did not answer, or with a failure of its own: worth another attempt."""


class _LimitedError(Exception):
    """The rate limit holds."""

    def __init__(self, retry_after: float | None) -> None:
        super().__init__("its rate limit holds (status 429)")
        self.retry_after = retry_after


@attrs.define
class _Retries:
    """Decides after each failed attempt for one page how long to wait, and when to give up."""

    url: str
    patience: Patience
    failures: int = 0
    limited_since: float | None = None

    def __call__(self, error: Exception) -> float | Literal[False]:
        match error:
            case _LimitedError():
                return self._wait_out_limit(error)
            case _FailedError():
                return self._back_off(error)
        return False

    def _back_off(self, error: _FailedError) -> float | Literal[False]:
        self.failures += 1
        if self.failures >= self.patience.attempts:
            return False
        wait = min(
            self.patience.backoff * 2.0 ** (self.failures - 1), self.patience.longest_backoff
        )
        _log.warning(
            "the Random User API fails, asking again",
            url=self.url,
            reason=str(error),
            attempt=f"{self.failures} of {self.patience.attempts}",
            wait_seconds=wait,
        )
        return wait

    def _wait_out_limit(self, error: _LimitedError) -> float | Literal[False]:
        now = time.monotonic()
        if self.limited_since is None:
            self.limited_since = now
        waited = now - self.limited_since
        wait = self.patience.limit_interval if error.retry_after is None else error.retry_after
        if waited + wait > self.patience.limit_total:
            return False
        _log.warning(
            "waiting for the Random User API's rate limit to pass",
            url=self.url,
            waited_seconds=round(waited),
            wait_seconds=round(wait, 1),
        )
        return wait


class RandomUserApi:
    """A connection to the API, or to something that answers like it.

    Args:
        base_url: Where it is, without the path of the version.
        seed: Text that decides who the people are.
        nationalities: Only people of these, as comma-separated codes; empty for any.
        patience: How long it is asked again when it fails.

    Raises:
        InputError: The address is no http(s) URL, or the seed is empty.
    """

    def __init__(
        self,
        base_url: str,
        *,
        seed: str,
        nationalities: str = "",
        patience: Patience | None = None,
    ) -> None:
        try:
            base = httpx.URL(base_url)
        except httpx.InvalidURL as error:
            raise InputError(f"API address {base_url!r}: {error}") from error
        if base.scheme not in ("http", "https") or not base.host:
            raise InputError("the API's address is no http:// or https:// URL")
        if not seed:
            raise InputError("the Random User API needs a seed that is not empty")
        self._patience = patience or Patience()
        self._seed = seed
        self._nationalities = [
            nat.strip().upper() for nat in nationalities.split(",") if nat.strip()
        ]
        self._endpoint = base.copy_with(path=f"{base.path.rstrip('/')}/api/{VERSION}/")
        # A user name and password in the address are for the server, not for logs and messages.
        self.url = str(self._endpoint.copy_with(userinfo=b""))
        self._client = httpx.Client(timeout=self._patience.timeout)

    def people(self, page: int, count: int) -> list[Any]:
        """Return one page of people as the API describes them, secrets included: drop those.

        Args:
            page: Number of the page, from 1 to `MAX_PAGE`.
            count: People on each page, from 1 to `MAX_PAGE_SIZE`.

        Raises:
            UnreachableError: It kept failing, or its rate limit did not pass.
            ApiError: The answer is not what was asked for.
        """
        if not (1 <= page <= MAX_PAGE and 1 <= count <= MAX_PAGE_SIZE):
            raise ValueError(f"page {page} of {count} people is beyond the API's limits")
        retries = _Retries(self.url, self._patience)
        try:
            for attempt in stamina.retry_context(retries, attempts=None, timeout=None):
                with attempt:
                    return self._checked(self._ask(page, count), page, count)
        except _LimitedError as error:
            asks = (
                "" if error.retry_after is None else f" and asks for {error.retry_after:.0f} s more"
            )
            raise UnreachableError(
                f"the Random User API at {self.url} keeps its rate limit up{asks}; "
                f"at most {self._patience.limit_total:.0f} s are waited"
            ) from error
        except _FailedError as error:
            raise UnreachableError(
                f"the Random User API at {self.url} fails, "
                f"{self._patience.attempts} attempts: {error}"
            ) from error
        raise AssertionError("retrying ends with a result or an error")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _ask(self, page: int, count: int) -> dict[str, Any]:
        params = {"results": str(count), "seed": self._seed, "page": str(page), "inc": FIELDS}
        if self._nationalities:
            params["nat"] = ",".join(self._nationalities)
        try:
            response = self._client.get(self._endpoint, params=params)
        except httpx.TimeoutException as error:
            raise _FailedError(f"no answer within {self._patience.timeout:g} s") from error
        except httpx.TransportError as error:
            raise _FailedError(str(error) or type(error).__name__) from error
        except httpx.DecodingError as error:
            raise ApiError(f"the Random User API at {self.url}: {error}") from error
        return _read(response, self.url)

    def _checked(self, answer: dict[str, Any], page: int, count: int) -> list[Any]:
        results, info = answer.get("results"), answer.get("info")
        if not isinstance(results, list) or not isinstance(info, dict):
            raise ApiError(
                f"the Random User API at {self.url}: the answer lacks 'results' or 'info'"
            )
        for what, asked, came in (
            ("version", VERSION, info.get("version")),
            ("seed", self._seed, info.get("seed")),
            ("page", page, info.get("page")),
            ("results", count, info.get("results")),
            ("people", count, len(results)),
        ):
            if str(came) != str(asked):
                raise ApiError(
                    f"the Random User API at {self.url}: asked for {what} {asked}, "
                    f"got {_short(came)}"
                )
        for person in results if self._nationalities else ():
            nat = person.get("nat") if isinstance(person, dict) else None
            if isinstance(nat, str) and nat not in self._nationalities:
                raise ApiError(
                    f"the Random User API at {self.url}: asked for nationality "
                    f"{','.join(self._nationalities)}, got {_short(nat)}"
                )
        return results


def _read(response: httpx.Response, url: str) -> dict[str, Any]:
    status = response.status_code
    if status == 429:
        raise _LimitedError(_retry_after(response.headers.get("Retry-After")))
    if status >= 500:
        raise _FailedError(f"status {status}")
    try:
        answer = response.json()
    except ValueError as error:
        if status != 200:
            raise ApiError(f"the Random User API at {url}: status {status}") from error
        raise ApiError(f"the Random User API at {url}: the answer is not JSON") from error
    said = f": {_short(answer['error'])}" if isinstance(answer, dict) and "error" in answer else ""
    if status != 200 or said:
        raise ApiError(f"the Random User API at {url}: status {status}{said}")
    if not isinstance(answer, dict):
        raise ApiError(f"the Random User API at {url}: the answer is no JSON object")
    return answer


def _retry_after(header: str | None, now: Callable[[], datetime] | None = None) -> float | None:
    """Return the seconds that a Retry-After header asks for: a number of them, or a date."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    present = now() if now else datetime.now(UTC)
    return max(0.0, (moment.astimezone(UTC) - present).total_seconds())


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 80 else f"{text[:79]}…"
