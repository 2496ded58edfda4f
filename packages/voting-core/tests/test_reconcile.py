"""Comparing counts."""

from typing import Any

import attrs
import pytest

from voting_core.census import Count
from voting_core.reconcile import Difference, differences

COUNT = Count(
    votes=3,
    candidates={"ada": 2, "bob": 1},
    locations={"Ohio": 3},
    candidates_by_location={("Ohio", "ada"): 2, ("Ohio", "bob"): 1},
    names={"ada": "Ada", "bob": "Bob"},
)


def test_equal_counts_agree() -> None:
    """Nothing differs between the same counts."""
    assert differences({"postgres": COUNT, "aggregates": COUNT}) == []


@pytest.mark.parametrize(
    ("change", "figure"),
    [
        ({"votes": 4}, "votes"),
        ({"candidates": {"ada": 2}}, "candidate bob"),
        ({"locations": {"Ohio": 3, "Iowa": 1}}, "location Iowa"),
        (
            {"candidates_by_location": {("Ohio", "ada"): 1, ("Ohio", "bob"): 1}},
            "location and candidate Ohio, ada",
        ),
    ],
)
def test_names_the_figure_that_differs(change: dict[str, Any], figure: str) -> None:
    """A figure that one place counts otherwise, or lacks, is named."""
    other = attrs.evolve(COUNT, **change)
    assert [d.figure for d in differences({"postgres": COUNT, "aggregates": other})] == [figure]


def test_duplicates_are_a_difference() -> None:
    """A place that holds a voter twice disagrees even when the totals match."""
    twice = attrs.evolve(COUNT, duplicates=1)
    assert differences({"votes_topic": twice}) == [
        Difference("duplicates in votes_topic", {"votes_topic": 1, "allowed": 0})
    ]


def test_candidates_of_one_name_add_up() -> None:
    """By name, two ids of one name are one line."""
    count = attrs.evolve(COUNT, names={"ada": "Ada", "bob": "Ada"})
    assert count.by_name() == {"Ada": 3}
