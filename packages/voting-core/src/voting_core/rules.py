"""Pure rules of the election that more than one service applies."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from itertools import accumulate

import attrs

from voting_core.exceptions import InputError

__all__ = ["VOTING_AGE", "ChoiceDraw", "PollingHours", "age_band", "age_on"]

VOTING_AGE = 18
"""Years that a voter must have completed on the day of the vote."""


def age_on(born: date, day: date) -> int:
    """Return the completed years of life on a day; negative when born after it."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def age_band(age: int) -> str:
    """Return the band that an adult's age falls into: 18-24, 25-34, …, 55-64, 65+."""
    if age >= 65:
        return "65+"
    if age < 25:
        return "18-24"
    low = (age - 5) // 10 * 10 + 5
    return f"{low}-{low + 9}"


@attrs.frozen
class PollingHours:
    """When ballots may be cast; a side that is not set is open-ended.

    Attributes:
        open: The first moment that counts, with its offset from UTC.
        close: The first moment that does not count any more, with its offset from UTC.
    """

    open: datetime | None = None
    close: datetime | None = None

    def violation(self, time: datetime) -> str | None:
        """Return why a ballot of that time, which has an offset, does not count, or None."""
        if self.open is not None and time < self.open:
            return f"cast before the polls opened at {self.open.isoformat()}"
        if self.close is not None and time >= self.close:
            return f"cast after the polls closed at {self.close.isoformat()}"
        return None


@attrs.frozen
class ChoiceDraw:
    """Draws a choice for a voter that brings none: the same voter and seed, the same choice.

    The first 8 bytes of BLAKE2b(seed ":" voter_id), read as a fraction of 2^64, point into the
    candidates laid end to end in the order of their ids, each as long as its weight.
    """

    seed: str
    candidate_ids: tuple[str, ...]
    cumulative_weights: tuple[float, ...]

    @classmethod
    def over(
        cls, candidate_ids: Iterable[str], seed: str, weights: Mapping[str, float] | None = None
    ) -> "ChoiceDraw":
        """Build the draw over the registered candidates.

        Args:
            candidate_ids: Every candidate that can be voted for.
            seed: Any text; another seed gives another election.
            weights: Relative weight by candidate_id; candidates not named get none. Without
                weights all are equally likely.

        Raises:
            InputError: A weight names no candidate, is negative, or all are zero.
        """
        ids = tuple(sorted(candidate_ids))
        weights = weights or {}
        if unknown := sorted(set(weights) - set(ids)):
            raise InputError(f"weight for {unknown[0]!r}, which is no registered candidate")
        shares = [weights.get(i, 0.0) if weights else 1.0 for i in ids]
        if any(not 0 <= share < float("inf") for share in shares):
            raise InputError("weights must be finite numbers of 0 or more")
        if ids and not sum(shares):
            raise InputError("at least one weight must be above 0")
        drawable = [(i, share) for i, share in zip(ids, shares, strict=True) if share]
        return cls(
            seed, tuple(i for i, _ in drawable), tuple(accumulate(share for _, share in drawable))
        )

    def choice(self, voter_id: str) -> str:
        """Return the candidate_id drawn for a voter; there must be at least one candidate."""
        digest = hashlib.blake2b(f"{self.seed}:{voter_id}".encode(), digest_size=8).digest()
        point = int.from_bytes(digest, "big") / 2**64 * self.cumulative_weights[-1]
        index = bisect_right(self.cumulative_weights, point)
        return self.candidate_ids[min(index, len(self.candidate_ids) - 1)]
