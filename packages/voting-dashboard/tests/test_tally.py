"""Tests of the results."""

import json
from datetime import UTC, datetime

import attrs

from voting_core.aggregates import AggregateView
from voting_core.serialization import compound_key
from voting_core.topics import (
    TURNOUT_BY_LOCATION,
    VOTES_PER_CANDIDATE,
    VOTES_PER_CANDIDATE_BY_LOCATION,
)
from voting_dashboard.snapshot import Candidate, Results
from voting_dashboard.tally import Count, Register, count_of, results_of

NEWEST = datetime(2026, 11, 22, 11, 39, tzinfo=UTC)


def test_count_of_reads_each_topic() -> None:
    """A count holds the totals of the three topics, and a candidate's name and party."""
    view = AggregateView("t1")
    mark = {"votes_topic_id": "t1"}
    who = {"candidate_id": "c1", "candidate_name": "Ada", "party_affiliation": "Unity"}
    view.apply(
        VOTES_PER_CANDIDATE.name, b"c1", json.dumps({**who, "total_votes": 7, **mark}).encode()
    )
    view.apply(
        TURNOUT_BY_LOCATION.name,
        b"North",
        json.dumps({"state": "North", "total_votes": 6, **mark}).encode(),
    )
    view.apply(
        VOTES_PER_CANDIDATE_BY_LOCATION.name,
        compound_key("North", "c1"),
        json.dumps({"state": "North", "candidate_id": "c1", "total_votes": 5, **mark}).encode(),
    )
    assert count_of(view, NEWEST) == Count(
        (Candidate("c1", "Ada", "Unity", 7),), {"North": 6}, {"North": {"c1": 5}}, NEWEST
    )


def test_results_rank_candidates(count: Count, register: Register) -> None:
    """Candidates come with most votes first, and those without votes are there too."""
    results = results_of(count, register)
    assert [(c.name, c.votes) for c in results.candidates] == [
        ("Ben", 30),
        ("Ada", 20),
        ("Cleo", 10),
        ("Dov", 0),
    ]
    assert [c.name for c in results.leading] == ["Ben"]


def test_results_total(count: Count, register: Register) -> None:
    """Votes, registered voters and turnout are those of all locations together."""
    results = results_of(count, register)
    assert (results.votes, results.registered, results.turnout) == (60, 120, 0.5)


def test_results_by_location(count: Count, register: Register) -> None:
    """Each location has its votes, register, turnout and leader, also where nobody has voted."""
    north, south, west = results_of(count, register).locations
    assert (north.votes, north.registered, north.turnout, north.leading) == (40, 50, 0.8, ("Ben",))
    assert (south.votes, south.leading) == (20, ("Ada",))
    assert (west.state, west.votes, west.turnout, west.leading) == ("West", 0, 0.0, ())


def test_a_tie_has_several_leaders(count: Count) -> None:
    """Candidates that are level lead together, in all and in a location."""
    level = attrs.evolve(
        count,
        candidates=tuple(attrs.evolve(c, votes=20) for c in count.candidates[:2]),
        votes_by_location_and_candidate={"North": {"c1": 9, "c2": 9, "c3": 1}},
    )
    results = results_of(level, None)
    assert [c.name for c in results.leading] == ["Ada", "Ben"]
    assert results.locations[0].leading == ("Ada", "Ben")


def test_nobody_leads_without_votes(register: Register) -> None:
    """While nothing is counted nobody leads, although all have the same number of votes."""
    results = results_of(Count(), register)
    assert results.leading == ()
    assert all(location.leading == () for location in results.locations)
    assert Results().leading == ()


def test_unknown_register(count: Count) -> None:
    """Without a register neither registered voters nor turnout are known."""
    results = results_of(count, None)
    assert (results.registered, results.turnout) == (None, None)
    assert {location.turnout for location in results.locations} == {None}


def test_register_read_before_the_count(count: Count) -> None:
    """Where the register as read lags behind the votes, it has at least as many voters."""
    results = results_of(count, Register({"North": 12}))
    assert [location.registered for location in results.locations] == [40, 20]
    assert results.registered == 60
