"""The rate of votes, from the times at which they were counted."""

from collections.abc import Iterable
from itertools import accumulate

import attrs

__all__ = ["Mark", "steady_rate"]

EDGE = 0.1


@attrs.frozen(order=True)
class Mark:
    """A time, and the number of votes that were counted then.

    Attributes:
        time: In seconds since 1970.
        votes: At least 1.
    """

    time: float
    votes: int = 1


def steady_rate(marks: Iterable[Mark]) -> float:
    """Return the votes per second, without the first and the last tenth of the votes.

    In the first tenth not all services have started, in the last one some have finished.

    Raises:
        ValueError: The votes were counted at too few different times.
    """
    ordered = sorted(marks)
    sums = list(accumulate(mark.votes for mark in ordered))
    total = sums[-1] if sums else 0
    first = next((n for n, votes in enumerate(sums) if votes >= EDGE * total), 0)
    last = next((n for n, votes in enumerate(sums) if votes >= (1 - EDGE) * total), 0)
    if not total or ordered[last].time <= ordered[first].time:
        raise ValueError(f"{total} votes at {len(ordered)} times have no rate")
    return (sums[last] - sums[first]) / (ordered[last].time - ordered[first].time)
