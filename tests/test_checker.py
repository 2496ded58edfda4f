"""The checker finds what it is there to find."""

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import attrs
import pytest

from testkit.checker.consistency import find_problems
from testkit.checker.evidence import (
    Evidence,
    PublishedVote,
    RegisteredVoter,
    SentBallot,
    StoredVote,
    Total,
    total_by_key,
)
from testkit.checker.exactly_once import Verdict, check_exactly_once

SOURCE = Counter({("Ada", "Ohio"): 1, ("Ben", "Utah"): 1})

TOTAL_KEYS: dict[str, list[tuple[str, ...]]] = {
    "aggregated_votes_per_candidate": [("a",), ("b",)],
    "aggregated_turnout_by_location": [("Ohio",), ("Utah",)],
    "aggregated_votes_per_candidate_by_location": [("Ohio", "a"), ("Utah", "b")],
    "aggregated_turnout_by_demographic": [
        ("gender", "female"),
        ("gender", "male"),
        ("age_band", "18-24"),
        ("age_band", "65+"),
    ],
    "aggregated_votes_over_time": [("2024-11-05T17:03:00Z", "a"), ("2024-11-05T17:03:00Z", "b")],
    "aggregated_progress": [("0",), ("1",)],
}


def correct_count() -> Evidence:
    """Two voters, one of whose ballots was sent twice, counted as they should be."""
    time = datetime(2024, 11, 5, 17, 3, 59, 250000)
    milliseconds = 1730826239250
    return Evidence(
        sent=[
            SentBallot((0, 0), milliseconds, "v", "a", "Ohio"),
            SentBallot((1, 0), milliseconds, "w", "b", "Utah"),
            SentBallot((0, 1), milliseconds, "v", "a", "Ohio"),
        ],
        candidates={"a": "Ada", "b": "Ben"},
        voters={
            "v": RegisteredVoter(date(2000, 11, 6), "female", "Ohio"),
            "w": RegisteredVoter(date(1950, 11, 5), "male", "Utah"),
        },
        votes=[
            StoredVote("v", "a", time, "Ohio", "female", 23, (0, 0)),
            StoredVote("w", "b", time, "Utah", "male", 74, (1, 0)),
        ],
        rejections=[((0, 1), "already_voted")],
        published_votes=[
            PublishedVote("v", "a", "2024-11-05T17:03:59.250Z", "Ohio", "female", 23, 0),
            PublishedVote("w", "b", "2024-11-05T17:03:59.250Z", "Utah", "male", 74, 1),
        ],
        published_rejections=[((0, 1), "already_voted")],
        totals={topic: dict.fromkeys(keys, Total(1, 1)) for topic, keys in TOTAL_KEYS.items()},
        counted_topic_ids={"id"},
    )


def verdict_after(change: Callable[[Evidence], dict[str, Any]]) -> Verdict:
    """The verdict on the correct count with some of it changed."""
    return check_exactly_once(attrs.evolve(correct_count(), **change(correct_count())), SOURCE)


def test_a_correct_count_has_no_problems() -> None:
    """Nothing is lost or counted twice; a ballot sent again is no duplicate."""
    verdict = check_exactly_once(correct_count(), SOURCE)
    assert verdict.problems == []
    assert set(verdict.lost.values()) == set(verdict.duplicated.values()) == {0}
    assert (verdict.read, verdict.accepted, verdict.resent) == (3, 2, 1)
    assert verdict.rejected == {"already_voted": 1}


def with_total(topic: str, key: tuple[str, ...], total: Total) -> Callable[[Evidence], Any]:
    """A change of one total."""
    return lambda e: {"totals": {**e.totals, topic: {**e.totals[topic], key: total}}}


BY_BOTH = "aggregated_votes_per_candidate_by_location"


@pytest.mark.parametrize(
    ("change", "lost", "duplicated"),
    [
        (lambda e: {"votes": e.votes[:1]}, {"votes": 1}, {"aggregates": 1}),
        (
            lambda e: {"published_votes": e.published_votes[1:]},
            {"votes_topic": 1},
            {"aggregates": 1},
        ),
        (
            lambda e: {"published_votes": [*e.published_votes, e.published_votes[0]]},
            {"aggregates": 1},
            {"votes_topic": 1},
        ),
        (
            lambda e: {"published_votes": [e.published_votes[0]] * 2},
            {"votes_topic": 1, "aggregates": 1},
            {"votes_topic": 1, "aggregates": 1},
        ),
        (with_total(BY_BOTH, ("Ohio", "a"), Total(0, 0)), {"aggregates": 1}, {}),
        (with_total(BY_BOTH, ("Ohio", "a"), Total(2, 2)), {}, {"aggregates": 1}),
        (with_total(BY_BOTH, ("Ohio", "a"), Total(1, 2)), {}, {"aggregates": 1}),
        (
            with_total("aggregated_turnout_by_location", ("Erie",), Total(1, 1)),
            {},
            {"aggregates": 1},
        ),
        (
            with_total("aggregated_turnout_by_demographic", ("gender", "male"), Total(0, 0)),
            {"aggregates": 1},
            {},
        ),
    ],
)
def test_lost_and_duplicated_ballots_are_counted(
    change: Callable[[Evidence], dict[str, Any]], lost: dict[str, int], duplicated: dict[str, int]
) -> None:
    """A ballot that a data store lacks or has twice is counted for that data store."""
    verdict = verdict_after(change)
    assert not verdict.clean
    assert {store: n for store, n in verdict.lost.items() if n} == lost
    assert {store: n for store, n in verdict.duplicated.items() if n} == duplicated


def test_ballots_that_never_arrived_are_lost_everywhere() -> None:
    """Votes of the source without a record on voters_topic are lost in every data store."""
    verdict = check_exactly_once(correct_count(), SOURCE + Counter({("Ada", "Utah"): 2}))
    assert verdict.lost == {"votes": 2, "votes_topic": 2, "aggregates": 2}


INCONSISTENT: list[Callable[[Evidence], dict[str, Any]]] = [
    lambda e: {"sent": e.sent[:2]},
    lambda e: {"rejections": []},
    lambda e: {"rejections": [((0, 1), "unregistered")]},
    lambda e: {"published_rejections": []},
    lambda e: {"published_rejections": [*e.rejections, *e.rejections]},
    lambda e: {"votes": [attrs.evolve(e.votes[0], age=24), e.votes[1]]},
    lambda e: {"votes": [attrs.evolve(e.votes[0], candidate_id="b"), e.votes[1]]},
    lambda e: {"votes": [attrs.evolve(e.votes[0], position=(0, 1)), e.votes[1]]},
    lambda e: {"votes": [attrs.evolve(e.votes[0], time=datetime(2024, 11, 6)), e.votes[1]]},
    lambda e: {
        "published_votes": [
            attrs.evolve(e.published_votes[0], gender="male"),
            e.published_votes[1],
        ]
    },
    lambda e: {"counted_topic_ids": {"id", "another"}},
    lambda e: {"voters": {}},
]


@pytest.mark.parametrize("change", INCONSISTENT)
def test_any_inconsistency_is_a_problem(change: Callable[[Evidence], dict[str, Any]]) -> None:
    """A record without one decision, or a vote that differs from its record, is a problem."""
    assert not verdict_after(change).clean
    assert find_problems(attrs.evolve(correct_count(), **change(correct_count())), tallied=True)


def test_a_rejection_that_the_source_does_not_explain_is_a_problem() -> None:
    """Every ballot of the source is valid, so none is rejected for what it says."""
    unregistered = [((0, 1), "unregistered")]
    verdict = verdict_after(
        lambda _: {"rejections": unregistered, "published_rejections": unregistered}
    )
    assert len(verdict.problems) == 1


def test_a_drawn_choice_may_be_any_candidate() -> None:
    """A ballot without a choice is a vote for whichever candidate was drawn."""
    count = correct_count()
    sent = [attrs.evolve(count.sent[0], choice=None), *count.sent[1:]]
    assert find_problems(attrs.evolve(count, sent=sent), tallied=True) == []


def test_totals_are_checked_only_if_they_are_complete() -> None:
    """Votes that are not counted yet are no problem of the decisions."""
    count = attrs.evolve(correct_count(), totals={topic: {} for topic in TOTAL_KEYS})
    assert find_problems(count) == []
    assert find_problems(count, tallied=True) != []


def test_a_total_that_decreases_is_found() -> None:
    """Of each key the last total is kept beside the highest."""
    records = [{"state": "Ohio", "total_votes": n} for n in (1, 5, 3)]
    assert total_by_key(records, ("state",)) == {("Ohio",): Total(3, 5)}
