"""The outcome of a reconciliation, as one line, as tables and as JSON."""

from collections.abc import Mapping
from typing import Any

import attrs
from rich.console import Group
from rich.table import Table
from rich.text import Text

from voting_core.foreign import ForeignRecords
from voting_core.operator.reconcile.differences import Difference
from voting_core.operator.vote_counts import VoteCounts


@attrs.frozen(kw_only=True)
class InFlight:
    """What is in flight, and therefore not yet in every data store.

    Attributes:
        records: Records of `voters_topic` beyond the checkpoints.
        votes: Votes in the database that are not on `votes_topic`.
        rejections: Rejections in the database that are not on `rejected_votes_topic`.
        untallied: Votes on `votes_topic` that the aggregates do not count.
        writing: Whether the aggregates were being written, so that only their bounds were checked.
    """

    records: int = 0
    votes: int = 0
    rejections: int = 0
    untallied: int = 0
    writing: bool = False

    def __bool__(self) -> bool:
        return any(attrs.astuple(self))

    def __str__(self) -> str:
        numbers = {
            "records to decide and publish": self.records,
            "votes to publish": self.votes,
            "rejections to publish": self.rejections,
            "votes to tally": self.untallied,
        }
        parts = [f"{number:,} {what}" for what, number in numbers.items() if number]
        if self.writing:
            parts.append("aggregates being written")
        return ", ".join(parts) or "nothing"


@attrs.frozen(kw_only=True)
class Reconciliation:
    """The outcome of a reconciliation.

    Attributes:
        records: Records on `voters_topic`.
        counts: The votes in each data store, including those in flight.
        rejected: The rejections in each data store by reason, including those in flight.
        differences: Figures on which the data stores disagree, the first of each kind.
        omitted: Number of further differences by kind.
        foreign: Records on all topics but voters_topic that the services did not write.
        sums: The sum of the totals of each grouping.
    """

    records: int
    counts: Mapping[str, VoteCounts]
    rejected: Mapping[str, Mapping[str, int]]
    in_flight: InFlight
    differences: tuple[Difference, ...] = ()
    omitted: Mapping[str, int] = attrs.field(factory=dict)
    foreign: ForeignRecords = attrs.field(factory=ForeignRecords)
    sums: Mapping[str, int] = attrs.field(factory=dict)

    @property
    def agrees(self) -> bool:
        """Whether the data stores agree on everything that is not in flight."""
        return not self.differences

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as a JSON object, with candidates by id."""
        stores: dict[str, dict[str, Any]] = {"voters_topic": {"records": self.records}}
        for store, counts in self.counts.items():
            stores[store] = {
                "votes": counts.votes,
                "candidates": dict(counts.candidates),
                "locations": dict(counts.locations),
            }
        for store, reasons in self.rejected.items():
            stores.setdefault(store, {})["rejected"] = dict(reasons)
        return {
            "agrees": self.agrees,
            "in_flight": attrs.asdict(self.in_flight),
            "counts": stores,
            "differences": [attrs.asdict(each) for each in self.differences],
            "omitted": dict(self.omitted),
            "foreign_records": self.foreign.as_json(),
        }

    def line(self) -> str:
        """Return the verdict in one line."""
        stores = dict.fromkeys(("voters_topic", *self.counts, *self.rejected))
        votes = self.counts["postgres"].votes
        rejections = sum(self.rejected["postgres"].values())
        verdict = "agree" if self.agrees else "DISAGREE"
        more = f"; in flight: {self.in_flight}" if self.in_flight else ""
        return (
            f"{self.records:,} records, {votes:,} votes, {rejections:,} rejections: "
            f"{', '.join(stores)} {verdict}{more}"
        )

    def tables(self) -> Group:
        """Return the differences as one table for each set of data stores compared."""
        tables: dict[tuple[str, ...], Table] = {}
        for each in self.differences:
            stores = tuple(each.found)
            if stores not in tables:
                tables[stores] = table = Table("Disagreement", *stores, "")
                for column in table.columns[1:-1]:
                    column.justify = "right"
                for column in table.columns:
                    column.overflow = "fold"
            numbers = [f"{number:,}" for number in each.found.values()]
            tables[stores].add_row(Text(each.figure), *numbers, Text(each.detail))
        more = [f"and {number:,} more: {kind}" for kind, number in self.omitted.items()]
        return Group(*tables.values(), *map(Text, more))
