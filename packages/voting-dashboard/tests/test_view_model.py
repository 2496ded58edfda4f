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
from voting_dashboard.view_model import (
    Candidate,
    Results,
    VoterRegister,
    VoteTotals,
    election_results,
    vote_totals,
)

NEWEST = datetime(2026, 11, 22, 11, 39, tzinfo=UTC)


def test_totals_of_each_topic() -> None:
    """The totals come from three topics, with each candidate's name and party."""
    view = AggregateView("t1")
    votes_topic = {"votes_topic_id": "t1"}
    candidate = {"candidate_id": "c1", "candidate_name": "Ada", "party_affiliation": "Unity"}
    records = [
        (VOTES_PER_CANDIDATE, b"c1", {**candidate, "total_votes": 7}),
        (TURNOUT_BY_LOCATION, b"North", {"state": "North", "total_votes": 6}),
        (
            VOTES_PER_CANDIDATE_BY_LOCATION,
            compound_key("North", "c1"),
            {"state": "North", "candidate_id": "c1", "total_votes": 5},
        ),
    ]
    for topic, key, value in records:
        view.apply(topic.name, key, json.dumps({**value, **votes_topic}).encode())
    assert vote_totals(view, NEWEST) == VoteTotals(
        (Candidate("c1", "Ada", "Unity", 7),), {"North": 6}, {"North": {"c1": 5}}, NEWEST
    )


def test_results_rank_candidates(totals: VoteTotals, register: VoterRegister) -> None:
    """Candidates come with most votes first, including those without votes."""
    results = election_results(totals, register)
    assert [(c.name, c.votes) for c in results.candidates] == [
        ("Ben", 30),
        ("Ada", 20),
        ("Cleo", 10),
        ("Dov", 0),
    ]
    assert [c.name for c in results.leading] == ["Ben"]


def test_results_sum_up_locations(totals: VoteTotals, register: VoterRegister) -> None:
    """Votes, registered voters and turnout are those of all locations together."""
    results = election_results(totals, register)
    assert (results.votes, results.registered, results.turnout) == (60, 120, 0.5)


def test_results_by_location(totals: VoteTotals, register: VoterRegister) -> None:
    """Each location has its votes, register, turnout and leader, including one without votes."""
    north, south, west = election_results(totals, register).locations
    assert (north.votes, north.registered, north.turnout, north.leading) == (40, 50, 0.8, ("Ben",))
    assert (south.votes, south.leading) == (20, ("Ada",))
    assert (west.state, west.votes, west.turnout, west.leading) == ("West", 0, 0.0, ())


def test_a_tie_has_several_leaders(totals: VoteTotals) -> None:
    """Candidates in a tie lead together, in the election and in a location."""
    level = attrs.evolve(
        totals,
        candidates=tuple(attrs.evolve(c, votes=20) for c in totals.candidates[:2]),
        votes_by_location_and_candidate={"North": {"c1": 9, "c2": 9, "c3": 1}},
    )
    results = election_results(level, None)
    assert [c.name for c in results.leading] == ["Ada", "Ben"]
    assert results.locations[0].leading == ("Ada", "Ben")


def test_no_leader_without_votes(register: VoterRegister) -> None:
    """Without votes there is no leader, although all have the same number of votes."""
    results = election_results(VoteTotals(), register)
    assert results.leading == ()
    assert all(location.leading == () for location in results.locations)
    assert Results().leading == ()


def test_unknown_register(totals: VoteTotals) -> None:
    """Without a register neither registered voters nor turnout are known."""
    results = election_results(totals, None)
    assert (results.registered, results.turnout) == (None, None)
    assert {location.turnout for location in results.locations} == {None}


def test_register_older_than_the_totals(totals: VoteTotals) -> None:
    """A register older than the totals has at least as many voters as there are votes."""
    results = election_results(totals, VoterRegister({"North": 12}))
    assert [location.registered for location in results.locations] == [40, 20]
    assert results.registered == 60
