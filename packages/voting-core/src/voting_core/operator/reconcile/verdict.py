"""The outcome of a reconciliation, and how it is told."""

from collections.abc import Mapping
from typing import Any

import attrs
from rich.console import Group
from rich.table import Table
from rich.text import Text

from voting_core.operator.counts import Count
from voting_core.operator.reconcile.difference import Difference

__all__ = ["InFlight", "Reconciliation"]


@attrs.frozen(kw_only=True)
class InFlight:
    """What is on its way and therefore not in every place yet.

    Attributes:
        records: Records of `voters_topic` beyond the published progress.
        votes: Votes in the database that are not on `votes_topic` yet.
        rejections: Rejections in the database that are not on `rejected_votes_topic` yet.
        untallied: Votes on `votes_topic` that the aggregates do not count yet.
        writing: Whether the aggregates were being written: they could be held against the least
            and the most that they may be, not against exact numbers.
    """

    records: int = 0
    votes: int = 0
    rejections: int = 0
    untallied: int = 0
    writing: bool = False

    def __bool__(self) -> bool:
        return any(attrs.astuple(self))

    def __str__(self) -> str:
        parts = {
            "records to decide and publish": self.records,
            "votes to publish": self.votes,
            "rejections to publish": self.rejections,
            "votes to tally": self.untallied,
        }
        told = [f"{number:,} {what}" for what, number in parts.items() if number]
        if self.writing:
            told.append("aggregates being written")
        return ", ".join(told) or "nothing"


@attrs.frozen(kw_only=True)
class Reconciliation:
    """What was found at one moment.

    Attributes:
        records: Records on `voters_topic`.
        counts: The votes by place: everything that the place holds, in flight or not.
        rejected: Rejections by place and reason, likewise.
        in_flight: What was on its way.
        differences: Figures on which the places disagree, the first of each kind.
        omitted: How many more there are, by kind.
    """

    records: int
    counts: Mapping[str, Count]
    rejected: Mapping[str, Mapping[str, int]]
    in_flight: InFlight
    differences: tuple[Difference, ...] = ()
    omitted: Mapping[str, int] = attrs.field(factory=dict)

    @property
    def agrees(self) -> bool:
        """Whether the places agree on everything that is not in flight."""
        return not self.differences

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON knows it; candidates by id."""
        places: dict[str, dict[str, Any]] = {"voters_topic": {"records": self.records}}
        for place, count in self.counts.items():
            places[place] = {
                "votes": count.votes,
                "candidates": dict(count.candidates),
                "locations": dict(count.locations),
            }
        for place, reasons in self.rejected.items():
            places.setdefault(place, {})["rejected"] = dict(reasons)
        return {
            "agrees": self.agrees,
            "in_flight": attrs.asdict(self.in_flight),
            "counts": places,
            "differences": [attrs.asdict(each) for each in self.differences],
            "omitted": dict(self.omitted),
        }

    def line(self) -> str:
        """Return the verdict in one line."""
        votes = self.counts["postgres"].votes
        rejections = sum(self.rejected["postgres"].values())
        verdict = "agree" if self.agrees else "DISAGREE"
        more = f"; in flight: {self.in_flight}" if self.in_flight else ""
        return (
            f"{self.records:,} records, {votes:,} votes, {rejections:,} rejections: "
            f"{', '.join(self._places())} {verdict}{more}"
        )

    def _places(self) -> list[str]:
        return list(dict.fromkeys(("voters_topic", *self.counts, *self.rejected)))

    def tables(self) -> Group:
        """Return the differences as a table for each set of places that is compared."""
        tables: dict[tuple[str, ...], Table] = {}
        for each in self.differences:
            places = tuple(each.found)
            if places not in tables:
                tables[places] = table = Table("Disagreement", *places, "")
                for column in table.columns[1:-1]:
                    column.justify = "right"
                for column in table.columns:
                    column.overflow = "fold"
            numbers = [f"{number:,}" for number in each.found.values()]
            tables[places].add_row(Text(each.figure), *numbers, Text(each.detail))
        more = [f"and {number:,} more: {kind}" for kind, number in self.omitted.items()]
        return Group(*tables.values(), *map(Text, more))
