"""What a row found: figures with their spread, ratios, and whether its goals are met."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

__all__ = ["CountsDiffer", "Figure", "Goal", "Row", "check_counts", "median_cpu"]


class CountsDiffer(Exception):
    """Variants of a row did not count the same votes: its figures mean nothing."""


def check_counts(row: str, counts: Mapping[str, Any]) -> None:
    """Check that every variant counted the same.

    Args:
        row: The row's name.
        counts: A number, or totals by key, by variant. The first is what the others must be.

    Raises:
        CountsDiffer: One counted something else.
    """
    (first, expected), *others = counts.items()
    for name, counted in others:
        if counted != expected:
            raise CountsDiffer(f"{row}: {name} counted {counted}, {first} {expected}")


def median_cpu(rounds: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    """Return the CPU times by process group of the round whose sum is the median.

    Of an even number of rounds, it is the upper one of the two.
    """
    return sorted(rounds, key=lambda cpu_us: sum(cpu_us.values()))[len(rounds) // 2]


@attrs.frozen
class Figure:
    """A median of several rounds, with the least and the greatest value."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        """Return the figure of some rounds, at least one."""
        return cls(statistics.median(values), min(values), max(values))


@attrs.frozen
class Goal:
    """What a row is to reach, and whether it does.

    Attributes:
        text: The goal in words.
        value: What was measured.
        met: Whether that is enough.
    """

    text: str
    value: float
    met: bool

    @classmethod
    def at_least(cls, text: str, value: float, least: float) -> "Goal":
        """Return a goal that more is better for."""
        return cls(text, value, value >= least)

    @classmethod
    def below(cls, text: str, value: float, most: float) -> "Goal":
        """Return a goal that less is better for."""
        return cls(text, value, value < most)

    @classmethod
    def at_most(cls, text: str, value: float, most: float) -> "Goal":
        """Return a goal that less is better for, and whose value itself is good enough."""
        return cls(text, value, value <= most)


@attrs.frozen(kw_only=True)
class Row:
    """The result of a row.

    Attributes:
        name: The row.
        unit: Of `ours`, `peers` and `limit`.
        ours: What our services reach.
        peers: What other ways reach, by name.
        limit: Name and figure of what could be reached at best.
        more_is_better: Whether greater figures are better.
        goals: What was to be reached.
        cpu_us: Microseconds of CPU time per vote, by process group.
        rounds: How often each variant ran.
        votes: How many votes each variant counted in a round.
        details: Further figures.
    """

    name: str
    unit: str
    ours: Figure
    peers: Mapping[str, Figure] = attrs.field(factory=dict)
    limit: tuple[str, Figure] | None = None
    more_is_better: bool = True
    goals: Sequence[Goal] = ()
    cpu_us: Mapping[str, float] = attrs.field(factory=dict)
    rounds: int = 1
    votes: Mapping[str, int] = attrs.field(factory=dict)
    details: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def ratio_to_limit(self) -> float | None:
        """Ours as a part of the limit: 1 is all that can be reached."""
        return None if self.limit is None else self.ratio_to(self.limit[1])

    @property
    def ratio_to_best_peer(self) -> float | None:
        """How many times better ours is than the best peer."""
        return min(map(self.ratio_to, self.peers.values()), default=None)

    @property
    def cpu_us_per_vote(self) -> float | None:
        """Microseconds of CPU time for each vote, of all processes together."""
        return sum(self.cpu_us.values()) if self.cpu_us else None

    def ratio_to(self, other: Figure) -> float:
        """Return how many times better ours is than another figure."""
        a, b = self.ours.median, other.median
        return a / b if self.more_is_better else b / a

    def as_json(self) -> dict[str, Any]:
        """Return the row as plain values."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": self.ours.median,
            "peers": {name: figure.median for name, figure in self.peers.items()},
            "limit": None
            if self.limit is None
            else {"name": self.limit[0], "value": self.limit[1].median},
            "ratio_to_limit": self.ratio_to_limit,
            "ratio_to_best_peer": self.ratio_to_best_peer,
            "cpu_us_per_vote": self.cpu_us_per_vote,
            "cpu_us_per_vote_by_process": dict(self.cpu_us),
            "goals": [attrs.asdict(goal) for goal in self.goals],
            "spread": {
                name: {"low": figure.low, "high": figure.high}
                for name, figure in self._figures().items()
            },
            "rounds": self.rounds,
            "votes": dict(self.votes),
            "details": dict(self.details),
        }

    def _figures(self) -> dict[str, Figure]:
        limit = {} if self.limit is None else dict([self.limit])
        return {"ours": self.ours, **self.peers, **limit}
