"""What the demo reports: how long each phase took, the count in each place, whether all agree."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table

from voting_core.operator.reconcile import Reconciliation

PLACES = ("source", "postgres", "votes_topic", "aggregates")


def summarize(source: Mapping[str, Any], found: Reconciliation, seconds: float) -> dict[str, Any]:
    """Return the summary; each block has what was counted in that place.

    Args:
        source: The producer's report: votes, candidates by name, locations.
        found: The counts of the other places.
        seconds: From the first voter to the last aggregate.
    """
    summary: dict[str, Any] = {
        "source": {key: source[key] for key in ("votes", "candidates", "locations")}
    }
    for place, count in found.counts.items():
        summary[place] = {
            "votes": count.votes,
            "candidates": count.by_name(),
            "locations": dict(count.locations),
        }
    summary["postgres"]["rejected"] = dict(found.rejected["postgres"])
    summary["votes_topic"]["duplicates"] = found.counts["votes_topic"].duplicates
    return summary | {
        "reconciled": _agree(summary) and found.agrees and not found.in_flight,
        "seconds": round(seconds, 3),
        "votes_per_second": round(found.counts["postgres"].votes / seconds, 1) if seconds else 0.0,
    }


def _agree(summary: Mapping[str, Any]) -> bool:
    first = summary[PLACES[0]]
    return summary["votes_topic"]["duplicates"] == 0 and all(
        summary[place][figure] == first[figure]
        for place in PLACES
        for figure in ("votes", "candidates", "locations")
    )


def _summary_table(summary: Mapping[str, Any]) -> Table:
    """Return the candidates' totals in each place, largest first."""
    table = Table("Candidate", *PLACES, title="Votes")
    for column in table.columns[1:]:
        column.justify = "right"
    names: set[str] = set().union(*(summary[place]["candidates"] for place in PLACES))
    for name in sorted(names, key=lambda n: (-summary["source"]["candidates"].get(n, 0), n)):
        table.add_row(name, *[f"{summary[p]['candidates'].get(name, 0):,}" for p in PLACES])
    table.add_section()
    table.add_row("all", *[f"{summary[place]['votes']:,}" for place in PLACES])
    table.add_row("locations", *[f"{len(summary[place]['locations']):,}" for place in PLACES])
    return table


def print_summary(summary: Mapping[str, Any], found: Reconciliation, console: Console) -> None:
    """Print the totals, the memory and the rate, and whether all data stores agree."""
    console.print(_summary_table(summary))
    for name, size in summary["peak_memory_bytes"].items():
        console.print(f"{name:<28}{(size or 0) / 2**20:>8.0f} MiB at most", highlight=False)
    rejected = sum(summary["postgres"]["rejected"].values())
    console.print(
        f"{summary['postgres']['votes']:,} votes and {rejected:,} rejections in "
        f"{summary['seconds']:,.1f} s, {summary['votes_per_second']:,.0f} votes/s",
        highlight=False,
    )
    if summary["reconciled"]:
        console.print("[green]Every place agrees on every total.[/green]")
    else:
        console.print(found.tables())
        console.print(found.line(), markup=False, highlight=False)
        console.print("[red]The places disagree; `--summary FILE` keeps every total.[/red]")


class PhaseClock:
    """Times phases and prints them as they end.

    Attributes:
        seconds: The duration of each phase, by name.
    """

    def __init__(self, print_line: Callable[[str], None]) -> None:
        self._print_line = print_line
        self._started = time.monotonic()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what happens inside, unless it fails."""
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 1)
        self._print_line(
            f"{name:<28}{self.seconds[name]:>8.1f} s"
            f"{time.monotonic() - self._started:>8.1f} s since the start"
        )
