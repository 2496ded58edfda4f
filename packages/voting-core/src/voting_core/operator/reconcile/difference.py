"""Comparing counts: pure functions from what each place says to the figures that differ."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from voting_core.operator.counts import Count

__all__ = ["NAMED", "Difference", "Findings", "bounded", "each_figure"]

NAMED = 20
"""Differences of one kind that are named; of the others only the number is kept."""

_GROUPS = (
    ("candidate", "candidates"),
    ("location", "locations"),
    ("location and candidate", "candidates_by_location"),
    ("demographic", "demographics"),
    ("minute and candidate", "minutes"),
)


@attrs.frozen
class Difference:
    """One figure on which the places disagree.

    Attributes:
        figure: What is counted, such as "votes" or "location Ohio".
        found: The count by the place's name.
        detail: What more there is to say.
    """

    figure: str
    found: Mapping[str, int]
    detail: str = ""


@attrs.define
class Findings:
    """Differences in bounded memory: the first of each kind by name, the others by number."""

    _named: dict[str, list[Difference]] = attrs.field(factory=dict)
    _numbers: dict[str, int] = attrs.field(factory=dict)

    def add(self, kind: str, found: Iterable[Difference], number: int | None = None) -> None:
        """Take in differences of one kind.

        Args:
            kind: What they have in common, such as "minute and candidate".
            found: All of them, or the first.
            number: How many there are in all, where only the first are given.
        """
        named = self._named.setdefault(kind, [])
        given = 0
        for each in found:
            given += 1
            if len(named) < NAMED:
                named.append(each)
        self._numbers[kind] = self._numbers.get(kind, 0) + (given if number is None else number)

    @property
    def named(self) -> tuple[Difference, ...]:
        """The differences that are named, kind by kind."""
        return tuple(each for named in self._named.values() for each in named)

    @property
    def omitted(self) -> dict[str, int]:
        """How many more there are, by kind, where there are more."""
        more = {kind: self._numbers[kind] - len(named) for kind, named in self._named.items()}
        return {kind: number for kind, number in more.items() if number > 0}


def each_figure(counts: Mapping[str, Count]) -> Iterator[tuple[str, str, dict[str, int]]]:
    """Yield every figure of the counts: its kind, its name, and the number of each place."""
    yield "votes", "votes", {place: count.votes for place, count in counts.items()}
    for kind, attribute in _GROUPS:
        groups: dict[str, Mapping[Any, int]] = {
            place: getattr(count, attribute) for place, count in counts.items()
        }
        for key in sorted(set().union(*groups.values())):
            text = ", ".join(key) if isinstance(key, tuple) else key
            yield kind, f"{kind} {text}", {place: g.get(key, 0) for place, g in groups.items()}


def bounded(
    lowest: Count, found: Count, highest: Count, kinds: Iterable[str] | None = None
) -> list[tuple[str, Difference]]:
    """Return the figures outside of what they can be while they are being written, by kind.

    Args:
        lowest: The votes that are counted for certain.
        found: The totals.
        highest: All votes that there are to count.
        kinds: Which figures; by default all.
    """
    chosen = None if kinds is None else set(kinds)
    counts = {"at least": lowest, "aggregates": found, "at most": highest}
    return [
        (kind, Difference(figure, numbers))
        for kind, figure, numbers in each_figure(counts)
        if (chosen is None or kind in chosen)
        and not numbers["at least"] <= numbers["aggregates"] <= numbers["at most"]
    ]
