"""The totals that the count must reach."""

from datetime import date

from voting_core.models import Address, Candidate, Voter
from voting_core.rules import ChoiceDraw
from voting_producer.expected_totals import ExpectedTotals
from voting_producer.sources import Registration

TODAY = date(2026, 11, 3)
CANDIDATES = {"a": Candidate("a", "Ann"), "b": Candidate("b", "Bob")}


def voter(
    number: int, choice: str | None = None, *, born: date = date(1990, 1, 1), state: str = "Ohio"
) -> Voter:
    """Return a voter."""
    return Voter(f"v{number}", "Voter", born, "female", Address(state), choice=choice)


def test_counts_by_candidate_and_location() -> None:
    """Each ballot counts once for its candidate, by name, and once for its state."""
    totals = ExpectedTotals(CANDIDATES)
    totals.add([Registration(voter(n, "a", state="Ohio"), True) for n in range(2)], TODAY)
    totals.add([Registration(voter(3, "b", state="Iowa"), True)], TODAY)
    assert (totals.registered, totals.sent, totals.votes) == (3, 3, 3)
    assert totals.votes_by_name() == {"Ann": 2, "Bob": 1}
    assert totals.per_location == {"Ohio": 2, "Iowa": 1}


def test_a_voter_without_a_ballot_does_not_count() -> None:
    """The voter is registered, but no ballot is sent or expected."""
    totals = ExpectedTotals(CANDIDATES)
    totals.add([Registration(voter(1, "a"), False)], TODAY)
    assert (totals.registered, totals.sent, totals.votes) == (1, 0, 0)
    assert totals.votes_by_name() == {}
    assert totals.per_location == {}


def test_only_eligible_ballots_count() -> None:
    """Sent but not expected: one day too young, an unknown candidate, no choice."""
    totals = ExpectedTotals(CANDIDATES)
    ballots = [
        voter(1, "a", born=date(2008, 11, 3)),
        voter(2, "a", born=date(2008, 11, 4)),
        voter(3, "zoe"),
        voter(4, None),
    ]
    totals.add([Registration(ballot, True) for ballot in ballots], TODAY)
    assert (totals.sent, totals.votes) == (4, 1)
    assert totals.votes_by_name() == {"Ann": 1}
    assert totals.per_location == {"Ohio": 1}


def test_choices_are_drawn_as_the_consumer_does() -> None:
    """A voter without a choice gets the one drawn; a choice of the source is kept."""
    draw = ChoiceDraw.over(CANDIDATES, "seed", {"a": 3.0, "b": 1.0})
    totals = ExpectedTotals(CANDIDATES, draw)
    totals.add([Registration(voter(n), True) for n in range(500)], TODAY)
    drawn = [draw.choice(f"v{n}") for n in range(500)]
    assert totals.per_candidate == {"a": drawn.count("a"), "b": drawn.count("b")}
    with_choice = ExpectedTotals(CANDIDATES, ChoiceDraw.over(CANDIDATES, "seed", {"b": 1.0}))
    with_choice.add([Registration(voter(1, "a"), True)], TODAY)
    assert with_choice.per_candidate == {"a": 1}


def test_candidates_with_one_name_add_up() -> None:
    """Two candidates with the same name are one entry of the report."""
    totals = ExpectedTotals({"a": Candidate("a", "Ann"), "b": Candidate("b", "Ann")})
    totals.add([Registration(voter(n, key), True) for n, key in enumerate("ab")], TODAY)
    assert totals.votes_by_name() == {"Ann": 2}
