"""The rate at which something went on, from the moments at which it did."""

from collections.abc import Iterable
from itertools import accumulate

import attrs

__all__ = ["Mark", "steady_rate"]

EDGE = 0.1


@attrs.frozen(order=True)
class Mark:
    """A moment, and how many votes came with it.

    Attributes:
        moment: In seconds since 1970.
        votes: At least 1.
    """

    moment: float
    votes: int = 1


def steady_rate(marks: Iterable[Mark]) -> float:
    """Return the votes a second between the first and the last tenth of them.

    In the first tenth not everybody works yet, in the last one not everybody any more.

    Raises:
        ValueError: There are too few moments to tell.
    """
    ordered = sorted(marks)
    sums = list(accumulate(mark.votes for mark in ordered))
    total = sums[-1] if sums else 0
    first = next((n for n, votes in enumerate(sums) if votes >= EDGE * total), 0)
    last = next((n for n, votes in enumerate(sums) if votes >= (1 - EDGE) * total), 0)
    if not total or ordered[last].moment <= ordered[first].moment:
        raise ValueError(f"a rate cannot be told from {total} votes at {len(ordered)} moments")
    return (sums[last] - sums[first]) / (ordered[last].moment - ordered[first].moment)
