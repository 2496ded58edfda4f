"""A local HTTP server that behaves like the Random User API 1.4, including its quirks.

As a script it prints its address and serves until it is stopped:

    python fake_random_user.py --limit 20000 --window 10
"""

import argparse
import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

PATH = "/api/1.4/"

# Country, nationality, states, and whether its postcodes are numbers.
COUNTRIES = (
    ("United States", "US", ("Ohio", "Texas", "Nevada", "Maine"), True),
    ("United Kingdom", "GB", ("Kent", "Dorset", "Fife"), False),
    ("Netherlands", "NL", ("Drenthe", "Utrecht"), False),
    ("Germany", "DE", ("Bayern", "Hessen", "Sachsen"), True),
)
FIRST = {"female": ("Ada", "Zoë", "Mia", "Inès"), "male": ("Ben", "Jörg", "Tom", "Émile")}
LAST = ("Berg", "O'Hara", "Nuñez", "Young", "Kuipers")

Answer = tuple[int, bytes, dict[str, str]]


def person(
    seed: str, page: int, number: int, nationalities: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the person at a position of a page, as the API describes people."""
    digest = hashlib.sha512(f"{seed}/{page}/{number}".encode()).digest()
    countries = [c for c in COUNTRIES if not nationalities or c[1] in nationalities] or COUNTRIES
    country, nat, states, numeric = countries[digest[0] % len(countries)]
    gender = ("female", "male")[digest[1] % 2]
    first, last = FIRST[gender][digest[2] % 4], LAST[digest[3] % 5]
    code = 10_000 + int.from_bytes(digest[4:6], "big")
    year = 1940 + digest[6] % 65
    hexadecimal = digest.hex()
    uuid = "-".join(
        (
            hexadecimal[:8],
            hexadecimal[8:12],
            hexadecimal[12:16],
            hexadecimal[16:20],
            hexadecimal[20:32],
        )
    )
    return {
        "gender": gender,
        "name": {"title": "Mx", "first": first, "last": last},
        "location": {
            "street": {"number": code % 9999 + 1, "name": "Mill Lane"},
            "city": "Fairford",
            "state": states[digest[7] % len(states)],
            "country": country,
            "postcode": code if numeric else f"{code % 10_000:04d} XY",
            "coordinates": {"latitude": "-1.5", "longitude": "2.5"},
            "timezone": {"offset": "0:00", "description": "London"},
        },
        "email": f"{hexadecimal[:8]}@example.com",
        "login": {
            "uuid": uuid,
            "username": f"bluefox{hexadecimal[32:38]}",
            "password": f"password-{hexadecimal[:10]}",
            "salt": f"salt-{hexadecimal[10:18]}",
            "md5": f"md5-{hexadecimal[:32]}",
            "sha1": f"sha1-{hexadecimal[:40]}",
            "sha256": f"sha256-{hexadecimal[:64]}",
        },
        "dob": {"date": f"{year}-{digest[8] % 12 + 1:02d}-17T22:55:02.134Z", "age": 2026 - year},
        "phone": "555-0100",
        "picture": {"large": "https://example.org/large.jpg", "thumbnail": "https://example.org/t"},
        "nat": nat,
    }


class FakeRandomUser:
    """The server, as a context manager.

    Args:
        limit: Number of people per window; more get status 429.
        window: Length of the window in seconds; it begins with the first request.
        retry_after: Form of the Retry-After header: "seconds", "date", or None for no header.
        failures: The first responses, one per request: a status, "drop" for a closed connection,
            "hang" for no response within a second, "not-json", or "error" for an error with status
            200.
        change: Modifies every good response before it is sent.
        port: Port on the loopback address; 0 for any free port.

    Attributes:
        requests: The query of every request so far.
        paths: The path of every request so far.
        url: Base address.
    """

    def __init__(
        self,
        *,
        limit: int = 20_000,
        window: float = 300.0,
        retry_after: str | None = None,
        failures: tuple[int | str, ...] = (),
        change: Callable[[dict[str, Any]], None] | None = None,
        port: int = 0,
    ) -> None:
        self.limit = limit
        self.window = window
        self.retry_after = retry_after
        self.failures = list(failures)
        self.change = change
        self.requests: list[dict[str, str]] = []
        self.paths: list[str] = []
        self._lock = threading.Lock()
        self._window_start = 0.0
        self._given = 0
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, query: dict[str, str]) -> Answer:
        """Return status, body and headers for a query."""
        count, page = int(query.get("results", "1")), int(query.get("page", "1"))
        count = count if 1 <= count <= 5000 else 1
        page = page if 1 <= page <= 10_000 else 1
        now = time.monotonic()
        if now - self._window_start >= self.window:
            self._window_start, self._given = now, 0
        if self._given + count > self.limit:
            left = self.window - (now - self._window_start)
            return _json(
                429,
                {"error": "Whoa, ease up there cowboy. You've requested too many users."},
                self._retry_after_header(left),
            )
        self._given += count
        seed = query.get("seed") or "0123456789abcdef"
        nationalities = tuple(nat for nat in query.get("nat", "").split(",") if nat)
        people = [person(seed, page, number, nationalities) for number in range(count)]
        if "inc" in query:
            fields = query["inc"].split(",")
            people = [{name: p[name] for name in p if name in fields} for p in people]
        found = {
            "results": people,
            "info": {"seed": seed, "results": count, "page": page, "version": "1.4"},
        }
        if self.change is not None:
            self.change(found)
        return _json(200, found)

    def _retry_after_header(self, seconds: float) -> dict[str, str]:
        if self.retry_after == "seconds":
            return {"Retry-After": str(int(seconds) + 1)}
        if self.retry_after == "date":
            return {"Retry-After": formatdate(time.time() + seconds + 1, usegmt=True)}
        return {}

    def _respond(self, target: str) -> Answer | None:
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        with self._lock:
            self.paths.append(parts.path)
            self.requests.append(query)
            failure = self.failures.pop(0) if self.failures else None
            if failure == "drop":
                return None
            if failure == "not-json":
                return 200, b"<html>maintenance</html>", {}
            if failure == "error":
                return _json(200, {"error": "Uh oh, something has gone wrong."})
            if isinstance(failure, int):
                return _json(failure, {"error": f"injected failure, status {failure}"})
            if failure is None:
                if parts.path != PATH:
                    return _json(404, {"error": "no such version"})
                return self.answer(query)
        self._released.wait(1.0)
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                answer = fake._respond(self.path)
                if answer is None:
                    self.close_connection = True
                    return
                status, body, headers = answer
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def _json(status: int, value: Any, headers: dict[str, str] | None = None) -> Answer:
    return (
        status,
        json.dumps(value).encode(),
        {**(headers or {}), "Content-Type": "application/json"},
    )


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description="Behaves like the Random User API 1.4.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--limit", type=int, default=20_000, help="people per window")
    parser.add_argument("--window", type=float, default=300.0, help="seconds")
    parser.add_argument("--retry-after", choices=("seconds", "date"))
    options = parser.parse_args()
    with FakeRandomUser(
        port=options.port,
        limit=options.limit,
        window=options.window,
        retry_after=options.retry_after,
    ) as fake:
        print(fake.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
