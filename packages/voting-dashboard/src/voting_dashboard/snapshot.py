"""What the page shows, as immutable values that threads can share."""

from datetime import datetime

import attrs

__all__ = ["Candidate", "Location", "Results", "Snapshot"]


@attrs.frozen
class Candidate:
    """A candidate and the votes counted for it."""

    candidate_id: str
    name: str
    party: str
    votes: int


@attrs.frozen
class Location:
    """What is counted in one location.

    Attributes:
        registered: Voters on the register there; None while the register is unknown.
        leading: Names of those with the most votes there: none while nothing is counted, several
            when they are level.
    """

    state: str
    votes: int
    registered: int | None
    leading: tuple[str, ...]

    @property
    def turnout(self) -> float | None:
        """Votes per registered voter, 0 to 1; None while the register is unknown or empty."""
        return _turnout(self.votes, self.registered)


@attrs.frozen
class Results:
    """The count at one moment.

    Attributes:
        candidates: Most votes first; also those without any, as far as they are registered.
        locations: In alphabetical order.
        registered: Voters on the whole register; None while it is unknown.
    """

    candidates: tuple[Candidate, ...] = ()
    locations: tuple[Location, ...] = ()
    registered: int | None = None

    @property
    def votes(self) -> int:
        """All votes counted."""
        return sum(candidate.votes for candidate in self.candidates)

    @property
    def turnout(self) -> float | None:
        """Votes per registered voter, 0 to 1; None while the register is unknown or empty."""
        return _turnout(self.votes, self.registered)

    @property
    def leading(self) -> tuple[Candidate, ...]:
        """Those with the most votes: none while nothing is counted, several when level."""
        most = max((candidate.votes for candidate in self.candidates), default=0)
        return tuple(c for c in self.candidates if c.votes == most and most > 0)


@attrs.frozen
class Snapshot:
    """The results, and how far they can be relied on.

    Attributes:
        newest: When the newest total came onto its topic; None while nothing is counted.
        caught_up: Whether the aggregate topics have been read to their ends once.
        kafka_problem: Why the count cannot be updated, in one line; None while it can.
        database_problem: Why the register cannot be updated, in one line; None while it can.
    """

    results: Results = Results()
    newest: datetime | None = None
    caught_up: bool = False
    kafka_problem: str | None = None
    database_problem: str | None = None


def _turnout(votes: int, registered: int | None) -> float | None:
    return votes / registered if registered else None
