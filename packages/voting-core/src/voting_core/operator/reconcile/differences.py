"""Differences between the counts of several data stores, as pure functions."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from voting_core.operator.vote_counts import GROUPINGS, VoteCounts

MAX_NAMED = 20
"""Differences of one kind that are kept; of further ones, only the number is."""

KINDS = frozenset({"votes", *GROUPINGS})
"""The kinds of figures that `VoteCounts` consists of."""


@attrs.frozen
class Difference:
    """A figure on which data stores disagree.

    Attributes:
        figure: The figure's name, such as "votes" or "location Ohio".
        found: The number in each data store.
        detail: An explanation, or nothing.
    """

    figure: str
    found: Mapping[str, int]
    detail: str = ""

    @property
    def is_unequal(self) -> bool:
        """Whether two data stores have different numbers."""
        return len(set(self.found.values())) > 1


@attrs.define
class Findings:
    """Differences in bounded memory: the first of each kind, and the number of all."""

    _named: dict[str, list[Difference]] = attrs.field(factory=dict)
    _numbers: dict[str, int] = attrs.field(factory=dict)

    def add(self, kind: str, found: Iterable[Difference], number: int | None = None) -> None:
        """Add differences of one kind, such as "minute and candidate".

        If only the first are given, `number` is that of all.
        """
        named = self._named.setdefault(kind, [])
        given = 0
        for each in found:
            given += 1
            if len(named) < MAX_NAMED:
                named.append(each)
        self._numbers[kind] = self._numbers.get(kind, 0) + (given if number is None else number)

    @property
    def named(self) -> tuple[Difference, ...]:
        """The differences that were kept, by kind."""
        return tuple(each for named in self._named.values() for each in named)

    @property
    def omitted(self) -> dict[str, int]:
        """The number of further differences, for the kinds that have any."""
        more = {kind: self._numbers[kind] - len(named) for kind, named in self._named.items()}
        return {kind: number for kind, number in more.items() if number > 0}


def compare_counts(counts: Mapping[str, VoteCounts]) -> list[tuple[str, Difference]]:
    """Return the unequal figures of the data stores' counts, each with its kind."""
    return [(kind, each) for kind, each in _figures(counts) if each.is_unequal]


def compare_with_bounds(
    lowest: VoteCounts, found: VoteCounts, highest: VoteCounts, kinds: Iterable[str]
) -> list[tuple[str, Difference]]:
    """Return the figures of the given kinds that are outside their bounds, each with its kind."""
    counts = {"at least": lowest, "aggregates": found, "at most": highest}
    return [
        (kind, each)
        for kind, each in _figures(counts)
        if kind in kinds
        and not each.found["at least"] <= each.found["aggregates"] <= each.found["at most"]
    ]


def compare_groups(
    figure: str, stores: Mapping[str, Mapping[Any, int]], detail: str = ""
) -> Iterator[Difference]:
    """Yield a difference for every group that the data stores count differently.

    `figure` is the figure's name, with `{}` for the group.
    """
    return (each for each in _groups(figure, stores, detail) if each.is_unequal)


def _figures(counts: Mapping[str, VoteCounts]) -> Iterator[tuple[str, Difference]]:
    yield "votes", Difference("votes", {store: count.votes for store, count in counts.items()})
    for kind, attribute in GROUPINGS.items():
        groups = {store: getattr(count, attribute) for store, count in counts.items()}
        for difference in _groups(f"{kind} {{}}", groups):
            yield kind, difference


def _groups(
    figure: str, stores: Mapping[str, Mapping[Any, int]], detail: str = ""
) -> Iterator[Difference]:
    for group in sorted(set().union(*stores.values())):
        text = ", ".join(group) if isinstance(group, tuple) else group
        numbers = {store: groups.get(group, 0) for store, groups in stores.items()}
        yield Difference(figure.format(text), numbers, detail)
