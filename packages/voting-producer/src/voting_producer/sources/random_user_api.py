"""A client of the Random User API.

It follows the behaviour of version 1.4, which the path pins:

* More than 5,000 `results` silently give 1 person, and a page above 10,000 silently gives page 1.
  Neither is requested, and every response is checked against its request.
* An address gets 20,000 people in 5 minutes, then status 429 with `{"error": …}`. The client waits.
* The same seed, page and number of results give the same people.
"""

from typing import Any

import httpx
import stamina

from voting_core.exceptions import InputError, SetupError, UnreachableError
from voting_producer.sources.random_user_retries import (
    RateLimitedError,
    RequestFailedError,
    RetryLimits,
    RetrySchedule,
    parse_retry_after,
)

VERSION = "1.4"
MAX_PAGE_SIZE = 5000
MAX_PAGE = 10_000
FIELDS = "gender,name,location,email,login,dob,phone,picture,nat"


class ApiError(SetupError):
    """The API responds, but not with what was requested."""

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"the Random User API at {url}: {problem}")


class RandomUserApi:
    """A connection to the API or to a compatible server."""

    def __init__(
        self,
        base_url: str,
        *,
        seed: str,
        nationalities: str = "",
        limits: RetryLimits | None = None,
    ) -> None:
        """Connect at the first request.

        Args:
            base_url: Address, without the path of the version.
            seed: Any text; the same seed gives the same people.
            nationalities: Comma-separated codes of the nationalities to request; empty for any.
            limits: How often and how long a failed request is repeated.

        Raises:
            InputError: The address is not an http(s) URL, or the seed is empty.
        """
        try:
            base = httpx.URL(base_url)
        except httpx.InvalidURL as error:
            raise InputError(f"API address {base_url!r}: {error}") from error
        if base.scheme not in ("http", "https") or not base.host:
            raise InputError("the API's address is not an http:// or https:// URL")
        if not seed:
            raise InputError("the Random User API needs a non-empty seed")
        self._limits = limits or RetryLimits()
        self._seed = seed
        self._nationalities = [
            nat.strip().upper() for nat in nationalities.split(",") if nat.strip()
        ]
        self._endpoint = base.copy_with(path=f"{base.path.rstrip('/')}/api/{VERSION}/")
        # Without the user name and password, which must not appear in logs and messages.
        self.url = str(self._endpoint.copy_with(userinfo=b""))
        self._client = httpx.Client(timeout=self._limits.request_timeout)

    def people(self, page: int, count: int) -> list[Any]:
        """Return one page of people as the API describes them, with secrets that must be dropped.

        Args:
            page: Number of the page, from 1 to `MAX_PAGE`.
            count: People per page, from 1 to `MAX_PAGE_SIZE`.

        Raises:
            UnreachableError: The API kept failing, or its rate limit applied for too long.
            ApiError: The response is not what was requested.
        """
        if not (1 <= page <= MAX_PAGE and 1 <= count <= MAX_PAGE_SIZE):
            raise ValueError(f"page {page} of {count} people is beyond the API's limits")
        schedule = RetrySchedule(self.url, self._limits)
        try:
            for attempt in stamina.retry_context(schedule, attempts=None, timeout=None):
                with attempt:
                    return self._check(self._request(page, count), page, count)
        except RateLimitedError as error:
            seconds = error.retry_after
            wait = "" if seconds is None else f" and asks for {seconds:.0f} s more"
            raise UnreachableError(
                f"the Random User API at {self.url} still applies its rate limit{wait}; "
                f"the maximum wait is {self._limits.rate_limit_timeout:.0f} s"
            ) from error
        except RequestFailedError as error:
            raise UnreachableError(
                f"the Random User API at {self.url} failed {self._limits.attempts} times: {error}"
            ) from error
        raise AssertionError("a retry ends with a result or an error")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _request(self, page: int, count: int) -> dict[str, Any]:
        params = {"results": str(count), "seed": self._seed, "page": str(page), "inc": FIELDS}
        if self._nationalities:
            params["nat"] = ",".join(self._nationalities)
        try:
            response = self._client.get(self._endpoint, params=params)
        except httpx.TimeoutException as error:
            raise RequestFailedError(
                f"no response within {self._limits.request_timeout:g} s"
            ) from error
        except httpx.TransportError as error:
            raise RequestFailedError(str(error) or type(error).__name__) from error
        except httpx.DecodingError as error:
            raise ApiError(self.url, str(error)) from error
        return _read(response, self.url)

    def _check(self, body: dict[str, Any], page: int, count: int) -> list[Any]:
        """Return the people in a response that matches its request."""
        results, info = body.get("results"), body.get("info")
        if not isinstance(results, list) or not isinstance(info, dict):
            raise ApiError(self.url, "the response lacks 'results' or 'info'")
        for what, requested, received in (
            ("version", VERSION, info.get("version")),
            ("seed", self._seed, info.get("seed")),
            ("page", page, info.get("page")),
            ("results", count, info.get("results")),
            ("people", count, len(results)),
        ):
            if str(received) != str(requested):
                raise ApiError(self.url, f"asked for {what} {requested}, got {_short(received)}")
        for person in results if self._nationalities else ():
            nat = person.get("nat") if isinstance(person, dict) else None
            if isinstance(nat, str) and nat not in self._nationalities:
                nats = ",".join(self._nationalities)
                raise ApiError(self.url, f"asked for nationality {nats}, got {_short(nat)}")
        return results


def _read(response: httpx.Response, url: str) -> dict[str, Any]:
    status = response.status_code
    if status == 429:
        raise RateLimitedError(parse_retry_after(response.headers.get("Retry-After")))
    if status >= 500:
        raise RequestFailedError(f"status {status}")
    try:
        body = response.json()
    except ValueError as error:
        problem = "the response is not JSON" if status == 200 else f"status {status}"
        raise ApiError(url, problem) from error
    reason = f": {_short(body['error'])}" if isinstance(body, dict) and "error" in body else ""
    if status != 200 or reason:
        raise ApiError(url, f"status {status}{reason}")
    if not isinstance(body, dict):
        raise ApiError(url, "the response is not a JSON object")
    return body


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 80 else f"{text[:79]}…"
