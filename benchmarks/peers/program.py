"""What the programs share: their options, and the result that they write."""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["Stopwatch", "parse_options", "write_result"]


def parse_options(description: str | None) -> argparse.Namespace:
    """Return the options; each program uses those that it needs."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--database-url", default="")
    parser.add_argument("--api-url", default="", help="where a voter is fetched from")
    parser.add_argument("--source", default="", help="topic or table that is read")
    parser.add_argument("--output", default="", help="topic that is written")
    parser.add_argument("--expected", type=int, default=0, help="end after so many; 0: go on")
    parser.add_argument("--rows", type=int, default=0, help="rows that are read from a table")
    parser.add_argument("--batch", type=int, default=0, help="most records in a batch")
    parser.add_argument("--directory", type=Path, default=Path(), help="for checkpoints and state")
    parser.add_argument("--kafka-package", default="", help="Spark's Kafka connector")
    parser.add_argument("--java-options", default="", help="of Spark's Java")
    parser.add_argument("--result", type=Path, required=True, help="file for the result")
    return parser.parse_args()


class Stopwatch:
    """Times the work without the start of the program: from the first item to the last."""

    def __init__(self) -> None:
        self.started_at = 0.0

    def start(self) -> None:
        """Start, unless it runs already."""
        self.started_at = self.started_at or time.time()


def write_result(
    path: Path,
    *,
    counted: int,
    started_at: float,
    ended_at: float,
    votes: int | None = None,
    totals: Mapping[str, int] | None = None,
) -> None:
    """Write what was counted, and print it.

    Args:
        path: The file.
        counted: All that was counted.
        started_at: When the measured time began, in seconds since 1970.
        ended_at: When it ended.
        votes: What was counted in this time; by default everything.
        totals: Votes of each candidate, if the program counts them.
    """
    result = {
        "counted": counted,
        "votes": counted if votes is None else votes,
        "started_at": started_at,
        "ended_at": ended_at,
        "totals": None if totals is None else dict(totals),
    }
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(result), encoding="utf-8")
    partial.replace(path)
    print(json.dumps(result), flush=True)
