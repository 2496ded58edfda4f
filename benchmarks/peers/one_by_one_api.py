"""An API that returns an invented person a call, in the form of the Random User API, at once."""

import itertools
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from peers.program import parse_options

_NUMBERS = itertools.count()
_STATES = ("Berlin", "Hamburg", "Hessen", "Saarland")


def _person(number: int) -> dict[str, object]:
    return {
        "login": {"uuid": f"one-by-one-{number:012d}"},
        "name": {"title": "Ms", "first": "Ada", "last": f"Voter {number}"},
        "gender": "female" if number % 2 else "male",
        "nat": "DE",
        "dob": {"date": "1970-01-01T00:00:00.000Z", "age": 56},
        "registered": {"date": "2015-01-01T00:00:00.000Z", "age": 11},
        "email": f"voter{number}@example.org",
        "phone": "000",
        "cell": "000",
        "picture": {"large": "https://example.org/picture.jpg"},
        "location": {
            "street": {"number": number % 200, "name": "Main street"},
            "city": "Town",
            "state": _STATES[number % len(_STATES)],
            "country": "Germany",
            "postcode": 10000 + number % 90000,
        },
    }


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"results": [_person(next(_NUMBERS))]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: a line for each request would be measured."""


def main(result: Path) -> None:
    """Serve on a free port of loopback, whose address is written to the result file."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        partial = result.with_suffix(".part")
        partial.write_text(f"http://127.0.0.1:{server.server_port}/", encoding="utf-8")
        partial.replace(result)
        server.serve_forever()


if __name__ == "__main__":
    main(parse_options(__doc__).result)
