"""The values that the page shows, and the pure functions that compute them.

All values are immutable, so that threads can share them; do not change their mappings.
"""

from collections.abc import Mapping
from datetime import datetime

import attrs

from voting_core.aggregates import AggregateView
from voting_core.topics import (
    TURNOUT_BY_LOCATION,
    VOTES_PER_CANDIDATE,
    VOTES_PER_CANDIDATE_BY_LOCATION,
)


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
        votes_by_location: Votes by state.
        votes_by_location_and_candidate: Votes by candidate id by state.
        newest: When the newest of these totals was written to its topic.
    """

    candidates: tuple[Candidate, ...] = ()
    votes_by_location: Mapping[str, int] = attrs.field(factory=dict)
    votes_by_location_and_candidate: Mapping[str, Mapping[str, int]] = attrs.field(factory=dict)
    newest: datetime | None = None


@attrs.frozen
class VoterRegister:
    """The register in PostgreSQL at one moment.

    Attributes:
        voters_by_location: Registered voters by state.
        candidates: The registered candidates, with 0 votes each.
    """

    voters_by_location: Mapping[str, int]
    candidates: tuple[Candidate, ...] = ()


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
    """The results, and how current they are.

    Attributes:
        newest: When the newest total was written to its topic; None without votes.
        caught_up: Whether the aggregate topics have been read to their ends once.
        kafka_problem: Why the totals cannot be updated, in one line; None while they can.
        database_problem: Why the register cannot be updated, in one line; None while it can.
    """

    results: Results = Results()
    newest: datetime | None = None
    caught_up: bool = False
    kafka_problem: str | None = None
    database_problem: str | None = None


def vote_totals(view: AggregateView, newest: datetime | None) -> VoteTotals:
    """Return the totals of the records that a view has taken in, the last one at `newest`."""
    by_location_and_candidate: dict[str, dict[str, int]] = {}
    for row in view.rows(VOTES_PER_CANDIDATE_BY_LOCATION.name):
        by_candidate = by_location_and_candidate.setdefault(row["state"], {})
        by_candidate[row["candidate_id"]] = row["total_votes"]
    return VoteTotals(
        candidates=tuple(
            Candidate(
                candidate_id=row["candidate_id"],
                name=row["candidate_name"],
                party=row["party_affiliation"],
                votes=row["total_votes"],
            )
            for row in view.rows(VOTES_PER_CANDIDATE.name)
        ),
        votes_by_location={
            row["state"]: row["total_votes"] for row in view.rows(TURNOUT_BY_LOCATION.name)
        },
        votes_by_location_and_candidate=by_location_and_candidate,
        newest=newest,
    )


def election_results(totals: VoteTotals, register: VoterRegister | None) -> Results:
    """Combine the totals and the register into the results.

    The register is read less often than the totals, so it may be older. Only votes of registered
    voters are counted: where an older register has fewer voters than there are votes, the number of
    registered voters is raised to the number of votes. The register is None while it is unknown.
    """
    candidates = {c.candidate_id: c for c in register.candidates} if register else {}
    candidates.update((c.candidate_id, c) for c in totals.candidates)
    states = sorted(
        totals.votes_by_location.keys()
        | totals.votes_by_location_and_candidate.keys()
        | (register.voters_by_location.keys() if register else set())
    )
    locations = tuple(_location(state, totals, register, candidates) for state in states)
    votes = sum(c.votes for c in totals.candidates)
    registered = sum(location.registered or 0 for location in locations)
    return Results(
        candidates=tuple(sorted(candidates.values(), key=lambda c: (-c.votes, c.candidate_id))),
        locations=locations,
        registered=max(registered, votes) if register else None,
    )


def _location(
    state: str,
    totals: VoteTotals,
    register: VoterRegister | None,
    candidates: Mapping[str, Candidate],
) -> Location:
    votes = totals.votes_by_location.get(state, 0)
    by_candidate = totals.votes_by_location_and_candidate.get(state, {})
    most = max(by_candidate.values(), default=0)
    leading = sorted(id_ for id_, number in by_candidate.items() if number == most and most > 0)
    return Location(
        state=state,
        votes=votes,
        registered=max(register.voters_by_location.get(state, 0), votes) if register else None,
        leading=tuple(candidates[id_].name if id_ in candidates else id_ for id_ in leading),
    )


def _turnout(votes: int, registered: int | None) -> float | None:
    return votes / registered if registered else None
