"""The votes of a results file, by plain arithmetic."""

import csv
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

__all__ = ["Totals", "count_by", "plain_totals"]

Totals = Counter[tuple[str, str]]
"""Votes by candidate's name and state."""


def plain_totals(paths: Path | Iterable[Path], scale: int = 1) -> Totals:
    """Return each candidate's votes in each state, added up and then divided without remainder.

    Args:
        paths: CSV files with the columns `candidate`, `state` and `candidatevotes`.
        scale: Votes of the file per ballot.
    """
    votes: Totals = Counter()
    for path in [paths] if isinstance(paths, Path) else paths:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                votes[row["candidate"], row["state"]] += int(row["candidatevotes"])
    return +Counter({key: total // scale for key, total in votes.items()})


def count_by(field: int, totals: Totals) -> dict[str, int]:
    """Return the votes by candidate's name (field 0) or by state (field 1)."""
    summed: Counter[str] = Counter()
    for key, votes in totals.items():
        summed[key[field]] += votes
    return dict(summed)
