"""The values that the page shows, and the pure functions that compute them.

All values are immutable, so that threads can share them; do not change their mappings.
"""

import enum
from collections import deque
from collections.abc import Mapping
from datetime import datetime

import attrs

from voting_core.aggregates import AggregateView
from voting_core.topics import VOTES_PER_CANDIDATE, VOTES_PER_CANDIDATE_BY_LOCATION


class Problem(enum.Enum):
    """What keeps figures from being updated."""

    KAFKA = enum.auto()
    """Kafka is unreachable."""

    DATABASE = enum.auto()
    """PostgreSQL is unreachable, so nothing can be proven."""

    STALLED = enum.auto()
    """Kafka or PostgreSQL does not respond to a request."""

    ELECTION = enum.auto()
    """Kafka and PostgreSQL do not hold one election, or not completely."""

    UNPROVEN = enum.auto()
    """A grouping of the totals exceeds the accepted votes; an incident is recorded."""

    UNPROVEN_NOT_RECORDED = enum.auto()
    """A grouping of the totals exceeds the accepted votes; no incident could be recorded."""

    UNEXPECTED = enum.auto()
    """A programming error, which is in the log."""


@attrs.frozen
class Candidate:
    """A candidate and the votes counted for it."""

    candidate_id: str
    name: str
    party: str
    votes: int


@attrs.frozen
class VoteTotals:
    """The totals in the aggregate topics at one moment.

    Attributes:
        votes: Votes by candidate id by state, of one aggregate: all figures that are shown together
            are computed from it, because the aggregates may be ahead of each other.
        candidates: The candidates that the totals name, with 0 votes each.
        newest: When the newest of these totals was written to its topic.
    """

    votes: Mapping[str, Mapping[str, int]] = attrs.field(factory=dict)
    candidates: tuple[Candidate, ...] = ()
    newest: datetime | None = None

    @property
    def sum(self) -> int:
        """All votes counted."""
        return sum(sum(by_candidate.values()) for by_candidate in self.votes.values())


@attrs.frozen
class VoterRegister:
    """The register in PostgreSQL at one moment.

    Attributes:
        voters_by_location: Registered voters by state.
        candidates: The registered candidates, with 0 votes each.
        election_id: The election that the database is of.
    """

    voters_by_location: Mapping[str, int]
    candidates: tuple[Candidate, ...] = ()
    election_id: str = ""


@attrs.frozen
class Location:
    """The results of one location.

    Attributes:
        registered: Registered voters there; None while the register is unknown.
        leading: Names of the candidates with the most votes there: empty without votes, several
            in a tie.
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
    """The results of the election at one moment.

    Attributes:
        candidates: Most votes first; includes registered candidates without votes.
        locations: In alphabetical order.
        registered: All registered voters; None while the register is unknown.
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
        """The candidates with the most votes: empty without votes, several in a tie."""
        most = max((candidate.votes for candidate in self.candidates), default=0)
        return tuple(c for c in self.candidates if c.votes == most and most > 0)


@attrs.frozen
class Snapshot:
    """The proven results, and how current they are.

    Attributes:
        newest: When the newest total was written to its topic; None without votes.
        caught_up: Whether the aggregate topics have been read to their ends once, and what they
            held has been proven.
        behind: Accepted votes that are not counted yet, if counting takes longer than usual.
        problem: Why the results cannot be updated; None while they can.
        register_problem: Why the register cannot be updated; None while it can.
        as_of: When the results were last proven, if they cannot be updated.
    """

    results: Results = Results()
    newest: datetime | None = None
    caught_up: bool = False
    behind: int = 0
    problem: Problem | None = None
    register_problem: Problem | None = None
    as_of: datetime | None = None


@attrs.define
class AcceptedVotes:
    """The numbers of votes in PostgreSQL over time, which show how far the totals lag behind.

    Attributes:
        usual_lag: Seconds within which an accepted vote is usually counted.
    """

    usual_lag: float
    _counts: deque[tuple[float, int]] = attrs.field(factory=deque, init=False)

    def add(self, moment: float, votes: int) -> None:
        """Add the number of votes at a moment, in seconds, not before the previous one."""
        self._counts.append((moment, votes))
        # The first entry stays the newest of those that are old enough.
        while len(self._counts) > 1 and self._counts[1][0] <= moment - self.usual_lag:
            self._counts.popleft()

    def behind(self, counted: int) -> int:
        """Return how many accepted votes are not counted yet; 0 within the usual lag."""
        (oldest, due), (newest, accepted) = self._counts[0], self._counts[-1]
        is_late = oldest <= newest - self.usual_lag and counted < due
        return accepted - counted if is_late else 0


def vote_totals(view: AggregateView, newest: datetime | None) -> VoteTotals:
    """Return the totals of the records that a view has taken in, the last one at `newest`."""
    votes: dict[str, dict[str, int]] = {}
    for row in view.rows(VOTES_PER_CANDIDATE_BY_LOCATION.name):
        votes.setdefault(row["state"], {})[row["candidate_id"]] = row["total_votes"]
    return VoteTotals(
        votes=votes,
        candidates=tuple(
            Candidate(row["candidate_id"], row["candidate_name"], row["party_affiliation"], 0)
            for row in view.rows(VOTES_PER_CANDIDATE.name)
        ),
        newest=newest,
    )


def election_results(totals: VoteTotals, register: VoterRegister | None) -> Results:
    """Combine the totals and the register into the results.

    The names are the register's; a candidate that an older register lacks has the name that the
    totals give it, or its id. The register is shown as it is, even where it has fewer voters than
    there are votes. It is None while it is unknown.
    """
    candidates = {c.candidate_id: c for c in totals.candidates}
    if register is not None:
        candidates.update((c.candidate_id, c) for c in register.candidates)
    for by_candidate in totals.votes.values():
        for id_, votes in by_candidate.items():
            known = candidates.get(id_) or Candidate(id_, id_, "", 0)
            candidates[id_] = attrs.evolve(known, votes=known.votes + votes)
    states = sorted(totals.votes.keys() | (register.voters_by_location if register else {}))
    return Results(
        candidates=tuple(sorted(candidates.values(), key=lambda c: (-c.votes, c.candidate_id))),
        locations=tuple(_location(state, totals, register, candidates) for state in states),
        registered=sum(register.voters_by_location.values()) if register else None,
    )


def _location(
    state: str,
    totals: VoteTotals,
    register: VoterRegister | None,
    candidates: Mapping[str, Candidate],
) -> Location:
    by_candidate = totals.votes.get(state, {})
    most = max(by_candidate.values(), default=0)
    leading = sorted(id_ for id_, votes in by_candidate.items() if votes == most and most > 0)
    return Location(
        state=state,
        votes=sum(by_candidate.values()),
        registered=register.voters_by_location.get(state, 0) if register else None,
        leading=tuple(candidates[id_].name for id_ in leading),
    )


def _turnout(votes: int, registered: int | None) -> float | None:
    return votes / registered if registered else None
