"""Tests of the colors."""

import attrs

from voting_dashboard.colors import candidate_colors
from voting_dashboard.view_model import Candidate

CANDIDATES = [Candidate(f"c{i:02}", f"Name {i}", "", i) for i in range(21)]


def test_colors_differ() -> None:
    """Each of up to 21 candidates has a color of its own."""
    assert len(set(candidate_colors(CANDIDATES).values())) == 21


def test_colors_do_not_follow_the_votes() -> None:
    """A candidate keeps its color when the order or the votes change."""
    other = [attrs.evolve(c, votes=100 - c.votes) for c in reversed(CANDIDATES)]
    assert candidate_colors(other) == candidate_colors(CANDIDATES)


def test_party_colors() -> None:
    """A party that readers expect in a color has it; only one candidate can."""
    colors = candidate_colors(
        [
            Candidate("a", "A", "Other", 0),
            Candidate("b", "B", "REPUBLICAN", 0),
            Candidate("c", "C", "Democratic Party", 0),
            Candidate("d", "D", "DEMOCRAT", 0),
        ]
    )
    assert (colors["b"], colors["c"]) == ("#d55e00", "#0072b2")
    assert len(set(colors.values())) == 4


def test_more_candidates_than_colors() -> None:
    """Candidates beyond the palette still have a color."""
    many = [Candidate(f"c{i:03}", "N", "Democrat", 0) for i in range(200)]
    assert len(candidate_colors(many)) == 200
