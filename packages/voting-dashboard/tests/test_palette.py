"""Tests of the colours."""

import attrs

from voting_dashboard.palette import colours
from voting_dashboard.snapshot import Candidate

CANDIDATES = [Candidate(f"c{i:02}", f"Name {i}", "", i) for i in range(21)]


def test_colours_differ() -> None:
    """Up to 21 candidates have a colour of their own."""
    assert len(set(colours(CANDIDATES).values())) == 21


def test_colours_do_not_follow_the_votes() -> None:
    """A candidate keeps its colour when the order or the votes change."""
    other = [attrs.evolve(c, votes=100 - c.votes) for c in reversed(CANDIDATES)]
    assert colours(other) == colours(CANDIDATES)


def test_customary_colours() -> None:
    """A party that readers expect in a colour has it; only one candidate can."""
    found = colours(
        [
            Candidate("a", "A", "Other", 0),
            Candidate("b", "B", "REPUBLICAN", 0),
            Candidate("c", "C", "Democratic Party", 0),
            Candidate("d", "D", "DEMOCRAT", 0),
        ]
    )
    assert (found["b"], found["c"]) == ("#d55e00", "#0072b2")
    assert len(set(found.values())) == 4


def test_more_candidates_than_colours() -> None:
    """Candidates beyond the palette still have a colour."""
    many = [Candidate(f"c{i:03}", "N", "Democrat", 0) for i in range(200)]
    assert len(colours(many)) == 200
