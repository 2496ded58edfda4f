"""Tests of the results."""

import json
from datetime import UTC, datetime

import attrs

from voting_core.aggregates import AggregateView
from voting_core.serialization import compound_key
from voting_core.topics import VOTES_PER_CANDIDATE, VOTES_PER_CANDIDATE_BY_LOCATION
from voting_dashboard.view_model import (
    AcceptedVotes,
    Candidate,
    Results,
    VoterRegister,
    VoteTotals,
    election_results,
    vote_totals,
)

NEWEST = datetime(2026, 11, 22, 11, 39, tzinfo=UTC)


def test_votes_come_from_one_aggregate() -> None:
    """All votes are those of candidate and location; the other topic gives names and parties."""
    view = AggregateView("t1")
    candidate = {"candidate_id": "c1", "candidate_name": "Ada", "party_affiliation": "Unity"}
    records = [
        (VOTES_PER_CANDIDATE, b"c1", {**candidate, "total_votes": 7}),
        (
            VOTES_PER_CANDIDATE_BY_LOCATION,
            compound_key("North", "c1"),
            {"state": "North", "candidate_id": "c1", "total_votes": 5},
        ),
    ]
    for topic, key, value in records:
        view.apply(topic.name, key, json.dumps({**value, "votes_topic_id": "t1"}).encode())
    totals = vote_totals(view, NEWEST)
    assert totals == VoteTotals({"North": {"c1": 5}}, (Candidate("c1", "Ada", "Unity", 0),), NEWEST)
    assert totals.sum == 5


def test_all_figures_agree(totals: VoteTotals, register: VoterRegister) -> None:
    """The votes of all candidates and those of all locations have the same sum."""
    results = election_results(totals, register)
    assert sum(location.votes for location in results.locations) == results.votes == totals.sum


def test_names_are_those_of_the_register() -> None:
    """A candidate that the register lacks has the name that the totals give it, or its id."""
    totals = VoteTotals(
        votes={"North": {"c1": 3, "c2": 2, "c3": 1}},
        candidates=(Candidate("c1", "Forged", "None", 0), Candidate("c2", "Ben", "Reform", 0)),
    )
    register = VoterRegister({}, (Candidate("c1", "Ada", "Unity", 0),))
    assert election_results(totals, register).candidates == (
        Candidate("c1", "Ada", "Unity", 3),
        Candidate("c2", "Ben", "Reform", 2),
        Candidate("c3", "c3", "", 1),
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
    level = attrs.evolve(totals, votes={"North": {"c1": 9, "c2": 9, "c3": 1}})
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


def test_the_register_is_shown_as_it_is(totals: VoteTotals) -> None:
    """A register with fewer voters than votes is not raised: the turnout exceeds 100 %."""
    results = election_results(totals, VoterRegister({"North": 12}))
    north, south = results.locations
    assert (north.registered, north.turnout) == (12, 40 / 12)
    assert (south.registered, south.turnout) == (0, None)
    assert (results.registered, results.turnout) == (12, 5.0)


def test_behind_within_the_usual_lag() -> None:
    """Votes accepted less than the usual lag ago do not have to be counted yet."""
    accepted = AcceptedVotes(60)
    accepted.add(0, 100)
    assert accepted.behind(0) == 0
    accepted.add(59, 500)
    assert accepted.behind(0) == 0


def test_behind_after_the_usual_lag() -> None:
    """Votes accepted longer ago must be counted; otherwise all that are not counted are behind."""
    accepted = AcceptedVotes(60)
    for moment, votes in ((0, 100), (30, 200), (60, 300), (100, 400)):
        accepted.add(moment, votes)
    assert accepted.behind(200) == 0
    assert accepted.behind(199) == 201


def test_behind_keeps_few_numbers() -> None:
    """Only the numbers within the usual lag are kept, and the newest one before it."""
    accepted = AcceptedVotes(60)
    for moment in range(10_000):
        accepted.add(moment, moment)
    assert len(accepted._counts) == 61
    assert accepted.behind(9_938) == 61
