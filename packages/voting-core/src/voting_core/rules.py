"""The rules of the election that more than one service applies, as pure functions.

That a person has one vote is not among them: `voter_id` is the primary key of the table `votes`.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from itertools import accumulate

import attrs

from voting_core.exceptions import InputError

VOTING_AGE = 18
"""Minimum age in completed years on the day of the vote."""


def age_on(born: date, day: date) -> int:
    """Return the age in completed years on a day; negative before the birth."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def age_band(age: int) -> str:
    """Return an adult's age band: 18-24, 25-34, …, 55-64 or 65+."""
    if age >= 65:
        return "65+"
    if age < 25:
        return "18-24"
    low = (age - 5) // 10 * 10 + 5
    return f"{low}-{low + 9}"


def begin_violation(time: datetime, began_at: datetime) -> str | None:
    """Return why a ballot with an (aware) timestamp is not of the election, or None if it is."""
    if time < began_at:
        return f"the timestamp {time.isoformat()} is before the election, {began_at.isoformat()}"
    return None


@attrs.frozen
class PollingHours:
    """When ballots may be cast; a limit that is not set does not apply.

    Attributes:
        open: The opening, inclusive, with an offset from UTC.
        close: The closing, exclusive, with an offset from UTC.
    """

    open: datetime | None = None
    close: datetime | None = None

    def violation(self, time: datetime) -> str | None:
        """Return why a ballot cast at an (aware) time does not count, or None if it does."""
        if self.open is not None and time < self.open:
            return f"cast before the polls opened at {self.open.isoformat()}"
        if self.close is not None and time >= self.close:
            return f"cast after the polls closed at {self.close.isoformat()}"
        return None


@attrs.frozen
class ChoiceDraw:
    """Draws the choice for a ballot without one; the same voter and seed give the same choice.

    The first 8 bytes of BLAKE2b(seed ":" voter_id), as a fraction of 2^64, select a point on the
    candidates' cumulative weights, in the order of their ids.
    """

    seed: str
    candidate_ids: tuple[str, ...]
    cumulative_weights: tuple[float, ...]

    @classmethod
    def over(
        cls, candidate_ids: Iterable[str], seed: str, weights: Mapping[str, float] | None = None
    ) -> "ChoiceDraw":
        """Build the draw over all registered candidates.

        The weights are relative, and 0 for missing candidates. Without weights, all candidates are
        equally likely.

        Raises:
            InputError: A weight is negative or infinite, belongs to an unknown candidate, or all
                are zero.
        """
        ids = tuple(sorted(candidate_ids))
        weights = weights or {}
        if unknown := sorted(set(weights) - set(ids)):
            raise InputError(f"weight for {unknown[0]!r}, which is not a registered candidate")
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
        """Return the candidate_id drawn for a voter; requires at least one candidate."""
        digest = hashlib.blake2b(f"{self.seed}:{voter_id}".encode(), digest_size=8).digest()
        point = int.from_bytes(digest, "big") / 2**64 * self.cumulative_weights[-1]
        index = bisect_right(self.cumulative_weights, point)
        return self.candidate_ids[min(index, len(self.candidate_ids) - 1)]
