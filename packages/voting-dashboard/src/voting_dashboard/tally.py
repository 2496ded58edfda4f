"""From what the topics and the register say to the results of an election; no I/O."""

from collections.abc import Mapping
from datetime import datetime

import attrs

from voting_core.aggregates import AggregateView
from voting_core.topics import (
    TURNOUT_BY_LOCATION,
    VOTES_PER_CANDIDATE,
    VOTES_PER_CANDIDATE_BY_LOCATION,
)
from voting_dashboard.snapshot import Candidate, Location, Results

__all__ = ["Count", "Register", "count_of", "results_of"]


@attrs.frozen
class Count:
    """What the aggregate topics say at one moment; its mappings are not to be changed.

    Attributes:
        votes_by_location: Votes by state.
        votes_by_location_and_candidate: Votes by candidate id by state.
        newest: When the newest of these totals came onto its topic.
    """

    candidates: tuple[Candidate, ...] = ()
    votes_by_location: Mapping[str, int] = attrs.field(factory=dict)
    votes_by_location_and_candidate: Mapping[str, Mapping[str, int]] = attrs.field(factory=dict)
    newest: datetime | None = None


@attrs.frozen
class Register:
    """What PostgreSQL says; its mapping is not to be changed.

    Attributes:
        voters_by_location: Registered voters by state.
        candidates: Those that stand for election, without votes.
    """

    voters_by_location: Mapping[str, int]
    candidates: tuple[Candidate, ...] = ()


def count_of(view: AggregateView, newest: datetime | None) -> Count:
    """Return the count that the records seen so far add up to."""
    by_both: dict[str, dict[str, int]] = {}
    for row in view.rows(VOTES_PER_CANDIDATE_BY_LOCATION.name):
        by_both.setdefault(row["state"], {})[row["candidate_id"]] = row["total_votes"]
    return Count(
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
        votes_by_location_and_candidate=by_both,
        newest=newest,
    )


def results_of(count: Count, register: Register | None) -> Results:
    """Put the count and the register together.

    The register is read less often than the count. Only registered voters are counted, so where
    it seems to hold fewer voters than there are votes it has at least as many as votes.

    Args:
        count: What is counted.
        register: None while it is unknown.
    """
    standing = {c.candidate_id: c for c in register.candidates} if register else {}
    standing.update((c.candidate_id, c) for c in count.candidates)
    states = sorted(
        count.votes_by_location.keys()
        | count.votes_by_location_and_candidate.keys()
        | (register.voters_by_location.keys() if register else set())
    )
    locations = tuple(_location(state, count, register, standing) for state in states)
    votes = sum(c.votes for c in count.candidates)
    registered = sum(location.registered or 0 for location in locations)
    return Results(
        candidates=tuple(sorted(standing.values(), key=lambda c: (-c.votes, c.candidate_id))),
        locations=locations,
        registered=max(registered, votes) if register else None,
    )


def _location(
    state: str, count: Count, register: Register | None, standing: Mapping[str, Candidate]
) -> Location:
    votes = count.votes_by_location.get(state, 0)
    by_candidate = count.votes_by_location_and_candidate.get(state, {})
    most = max(by_candidate.values(), default=0)
    ahead = sorted(id_ for id_, number in by_candidate.items() if number == most and most > 0)
    return Location(
        state=state,
        votes=votes,
        registered=max(register.voters_by_location.get(state, 0), votes) if register else None,
        leading=tuple(standing[id_].name if id_ in standing else id_ for id_ in ahead),
    )
