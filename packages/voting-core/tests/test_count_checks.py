"""Comparing the counts of the data stores."""

from typing import Any

import attrs
import pytest
from sample_counts import COUNT, FOR_BOB, NONE, totals_of

from voting_core.operator.reconcile import Difference, Findings
from voting_core.operator.reconcile.count_checks import (
    StoreCounts,
    check_counts,
    check_names,
    check_reasons,
)

MOVED = attrs.evolve(COUNT, candidates={"ada": 1, "bob": 2})


def stores(**changes: Any) -> StoreCounts:
    """Return the counts of a drained system, with changes."""
    drained: dict[str, Any] = {
        "postgres": COUNT,
        "unpublished": NONE,
        "votes_topic": COUNT,
        "untallied": NONE,
        "uncertain": NONE,
        "aggregates": totals_of(COUNT, 3),
        "settled": True,
    }
    return StoreCounts(**drained | changes)


def figures(found: StoreCounts) -> tuple[set[str], bool]:
    """Return the figures that disagree, and whether the aggregates were being written."""
    findings = Findings()
    writing = check_counts(found, findings)
    return {each.figure for each in findings.named}, writing


def test_equal_counts_agree() -> None:
    """Equal counts have no differences."""
    assert figures(stores()) == (set(), False)


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
        (
            {"demographics": {("gender", "female"): 2, ("age_band", "25-34"): 3}},
            "demographic gender, female",
        ),
        (
            {"minutes": {("2024-11-05T17:03:00Z", "ada"): 2}},
            "minute and candidate 2024-11-05T17:03:00Z, bob",
        ),
    ],
)
def test_names_the_figure_that_differs(change: dict[str, Any], figure: str) -> None:
    """A figure that differs in one data store, or is missing there, is reported."""
    other = attrs.evolve(COUNT, **change)
    assert figures(stores(votes_topic=other)) == ({figure}, False)


def test_a_drained_count_is_compared_in_all_stores_at_once() -> None:
    """If nothing is in flight, a difference contains the number of every data store."""
    findings = Findings()
    assert not check_counts(stores(aggregates=totals_of(MOVED, 3)), findings)
    assert findings.named == (
        Difference("candidate ada", {"postgres": 2, "votes_topic": 2, "aggregates": 1}),
        Difference("candidate bob", {"postgres": 1, "votes_topic": 1, "aggregates": 2}),
    )


def test_votes_in_flight_are_no_difference() -> None:
    """Votes that are not published, or not counted by the aggregates, are no disagreement."""
    published = COUNT.minus(FOR_BOB)
    waiting = stores(unpublished=FOR_BOB, votes_topic=published, aggregates=totals_of(published, 2))
    assert figures(waiting) == (set(), False)
    untallied = stores(
        untallied=FOR_BOB, uncertain=COUNT, aggregates=totals_of(COUNT.minus(FOR_BOB), 2)
    )
    assert figures(untallied) == (set(), False)
    assert figures(stores(untallied=COUNT, uncertain=COUNT, aggregates=totals_of(NONE, 0))) == (
        set(),
        False,
    )


def test_a_lost_vote_is_not_in_flight() -> None:
    """A vote that is missing and not in flight is a disagreement."""
    lost, _ = figures(stores(votes_topic=COUNT.minus(FOR_BOB), aggregates=totals_of(COUNT, 3)))
    assert {"votes", "candidate bob", "location Ohio", "demographic gender, female"} <= lost


def test_complete_totals_must_be_exact() -> None:
    """Totals that add up must be exact, even if some votes are not counted yet."""
    tallied = attrs.evolve(COUNT.minus(FOR_BOB), candidates={"ada": 1, "bob": 1})
    waiting = stores(untallied=FOR_BOB, uncertain=COUNT, aggregates=totals_of(tallied, 2))
    assert figures(waiting) == ({"candidate ada", "candidate bob"}, False)


def test_a_part_of_a_batch_is_in_flight() -> None:
    """Totals that are ahead of the progress, but not of votes_topic, are being written."""
    ahead = attrs.evolve(COUNT.minus(FOR_BOB), candidates=COUNT.candidates, votes=3)
    for settled in (True, False):
        half = stores(
            untallied=FOR_BOB, uncertain=COUNT, aggregates=totals_of(ahead, 2), settled=settled
        )
        assert figures(half) == (set(), True)


def test_totals_outside_their_bounds_are_never_in_flight() -> None:
    """A total above the published votes, or below the certain ones, is always a disagreement."""
    beyond = attrs.evolve(COUNT, candidates={"ada": 2, "bob": 2}, votes=4)
    found = stores(
        untallied=FOR_BOB, uncertain=COUNT, aggregates=totals_of(beyond, 2), settled=False
    )
    assert figures(found) == ({"votes", "candidate bob"}, True)
    behind = attrs.evolve(COUNT, candidates={"ada": 1, "bob": 1}, votes=2)
    found = stores(
        untallied=FOR_BOB, uncertain=FOR_BOB, aggregates=totals_of(behind, 3), settled=False
    )
    assert figures(found) == ({"candidate ada"}, True)


def test_settled_totals_of_a_drained_topic_must_be_exact() -> None:
    """A part of a batch disagrees if it is settled and the progress covers all votes."""
    lacking = attrs.evolve(COUNT, locations={"Ohio": 2})
    assert figures(stores(aggregates=totals_of(lacking, 3))) == ({"location Ohio"}, False)
    assert figures(stores(aggregates=totals_of(lacking, 3), uncertain=COUNT, settled=False)) == (
        set(),
        True,
    )


def test_candidates_must_have_their_registered_names() -> None:
    """Records with another name of a candidate than the registered one are a disagreement."""
    findings = Findings()
    registered = {"ada": ("ada", "Ada", "")}
    named = {("ada", "Ada", ""): 5, ("ada", "Eve", ""): 2, ("eve", "Eve", ""): 1}
    check_names(registered, "votes_topic", named, findings)
    assert [dict(each.found) for each in findings.named] == [
        {"votes_topic": 2, "allowed": 0},
        {"votes_topic": 1, "allowed": 0},
    ]


def test_rejections_are_compared_by_reason() -> None:
    """A reason that differs in one data store, or is missing there, is reported."""
    findings = Findings()
    check_reasons({"postgres": {"underage": 2, "malformed": 1}, "t": {"underage": 2}}, findings)
    assert findings.named == (Difference("rejected: malformed", {"postgres": 1, "t": 0}),)
