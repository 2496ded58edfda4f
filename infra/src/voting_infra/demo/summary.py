"""What the demo reports at the end: the count in each place, and whether all agree."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from voting_core.operator.reconcile import Reconciliation

__all__ = ["PLACES", "summarize", "summary_table", "write_summary"]

PLACES = ("source", "postgres", "votes_topic", "aggregates")


def summarize(
    source: Mapping[str, Any],
    found: Reconciliation,
    seconds: float,
) -> dict[str, Any]:
    """Put the summary together; each block holds what was counted in that place.

    Args:
        source: The producer's report: votes, candidates by name, locations.
        found: What the other places hold.
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


def summary_table(summary: Mapping[str, Any]) -> Table:
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


def write_summary(summary: Mapping[str, Any], path: Path) -> None:
    """Write the summary as JSON, all of it or nothing."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)
