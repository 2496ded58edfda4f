"""Counting at the source."""

from datetime import date

from voting_core.models import Address, Candidate, Voter
from voting_core.rules import ChoiceDraw
from voting_producer.sources import Registration
from voting_producer.tally import Tally

TODAY = date(2026, 11, 3)
STANDING = {"a": Candidate("a", "Ann"), "b": Candidate("b", "Bob")}


def voter(
    number: int, choice: str | None = None, *, born: date = date(1990, 1, 1), state: str = "Ohio"
) -> Voter:
    """Return a voter."""
    return Voter(f"v{number}", "Somebody", born, "female", Address(state), choice=choice)


def test_counts_by_candidate_and_location() -> None:
    """Each ballot counts once for its candidate, by name, and once for its state."""
    tally = Tally(STANDING)
    tally.count([Registration(voter(n, "a", state="Ohio"), True) for n in range(2)], TODAY)
    tally.count([Registration(voter(3, "b", state="Iowa"), True)], TODAY)
    assert (tally.registered, tally.sent, tally.votes) == (3, 3, 3)
    assert tally.votes_by_name() == {"Ann": 2, "Bob": 1}
    assert tally.per_location == {"Ohio": 2, "Iowa": 1}


def test_those_who_stay_at_home_do_not_count() -> None:
    """Somebody on the register who does not vote is registered and nothing else."""
    tally = Tally(STANDING)
    tally.count([Registration(voter(1, "a"), False)], TODAY)
    assert (tally.registered, tally.sent, tally.votes) == (1, 0, 0)
    assert tally.votes_by_name() == {}
    assert tally.per_location == {}


def test_only_eligible_ballots_count() -> None:
    """Sent, but not to be counted: one day too young, for nobody who stands, for nobody at all."""
    tally = Tally(STANDING)
    ballots = [
        voter(1, "a", born=date(2008, 11, 3)),
        voter(2, "a", born=date(2008, 11, 4)),
        voter(3, "nobody"),
        voter(4, None),
    ]
    tally.count([Registration(ballot, True) for ballot in ballots], TODAY)
    assert (tally.sent, tally.votes) == (4, 1)
    assert tally.votes_by_name() == {"Ann": 1}
    assert tally.per_location == {"Ohio": 1}


def test_choices_are_drawn_as_the_consumer_does() -> None:
    """Voters without a choice get the one that the draw rule gives; a choice brought stays."""
    draw = ChoiceDraw.over(STANDING, "seed", {"a": 3.0, "b": 1.0})
    tally = Tally(STANDING, draw)
    tally.count([Registration(voter(n), True) for n in range(500)], TODAY)
    drawn = [draw.choice(f"v{n}") for n in range(500)]
    assert tally.per_candidate == {"a": drawn.count("a"), "b": drawn.count("b")}
    brought = Tally(STANDING, ChoiceDraw.over(STANDING, "seed", {"b": 1.0}))
    brought.count([Registration(voter(1, "a"), True)], TODAY)
    assert brought.per_candidate == {"a": 1}


def test_candidates_of_one_name_add_up() -> None:
    """Two candidates of the same name are one entry of the report."""
    tally = Tally({"a": Candidate("a", "Ann"), "b": Candidate("b", "Ann")})
    tally.count([Registration(voter(n, key), True) for n, key in enumerate("ab")], TODAY)
    assert tally.votes_by_name() == {"Ann": 2}
