"""The faults' schedule, the source, and that the checker notices what it is there to notice."""

import csv
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from chaos.evidence import (
    Cast,
    Evidence,
    Published,
    Registered,
    Total,
    Vote,
    totals_of,
)
from chaos.schedule import KILLS, PAUSES, VICTIMS, make_schedule
from chaos.source import write_slices
from chaos.verdict import judge


def test_a_schedule_is_that_of_its_seed() -> None:
    """The same seed gives the same events, another seed gives others."""
    assert make_schedule("1", 40) == make_schedule("1", 40)
    assert make_schedule("1", 40) != make_schedule("2", 40)


@pytest.mark.parametrize("kills", [1, 6, 13, 30, 100])
def test_a_schedule_kills_as_often_as_asked(kills: int) -> None:
    """So many events kill, and one for every ten of them is a pause on top."""
    events = make_schedule("1", kills)
    assert sum(event.kills for event in events) == kills
    assert len(events) == kills + kills // 10


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_a_schedule_leaves_nobody_out(seed: str) -> None:
    """Six kills have each kind of victim, thirteen every kind of kill, forty every pause too."""
    assert {event.kind for event in make_schedule(seed, 6)} == set(VICTIMS)
    assert {event.kind for event in make_schedule(seed, 13) if event.kills} == set(KILLS)
    assert {event.kind for event in make_schedule(seed, 40)} == {*KILLS, *PAUSES}


def test_a_hundred_kills_fit_into_twenty_minutes() -> None:
    """The waits of the long schedule alone take well below the time that a run may take."""
    for seed in "12345":
        assert sum(event.delay + event.duration for event in make_schedule(seed, 100)) < 1000


def test_slices_hold_exactly_the_voters_asked_for(tmp_path: Path) -> None:
    """All files together have that many votes, and no two files are the same."""
    paths = write_slices(tmp_path, voters=1001, slices=7, seed="1")
    votes = 0
    for path in paths:
        with path.open(newline="") as file:
            votes += sum(int(row["candidatevotes"]) for row in csv.DictReader(file))
    assert votes == 1001
    assert len({path.read_bytes() for path in paths}) == 7


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


def sound() -> Evidence:
    """Two voters, one of whom was sent twice, counted as they should be."""
    time = datetime(2024, 11, 5, 17, 3, 59, 250000)
    milliseconds = 1730826239250
    return Evidence(
        source=Counter({("Ada", "Ohio"): 1, ("Ben", "Utah"): 1}),
        cast=[
            Cast((0, 0), milliseconds, "v", "a", "Ohio"),
            Cast((1, 0), milliseconds, "w", "b", "Utah"),
            Cast((0, 1), milliseconds, "v", "a", "Ohio"),
        ],
        candidates={"a": "Ada", "b": "Ben"},
        register={
            "v": Registered(date(2000, 11, 6), "female", "Ohio"),
            "w": Registered(date(1950, 11, 5), "male", "Utah"),
        },
        votes=[
            Vote("v", "a", time, "Ohio", "female", 23, (0, 0)),
            Vote("w", "b", time, "Utah", "male", 74, (1, 0)),
        ],
        rejections=[((0, 1), "already_voted")],
        published=[
            Published("v", "a", "2024-11-05T17:03:59.250Z", "Ohio", "female", 23, 0),
            Published("w", "b", "2024-11-05T17:03:59.250Z", "Utah", "male", 74, 1),
        ],
        rejections_published=[((0, 1), "already_voted")],
        totals={topic: dict.fromkeys(keys, Total(1, 1)) for topic, keys in TOTAL_KEYS.items()},
        counted_topics={"id"},
    )


def test_a_sound_count_is_found_sound() -> None:
    """Nothing is lost or counted twice; a ballot sent again is no duplicate."""
    verdict = judge(sound())
    assert verdict.problems == []
    assert set(verdict.lost.values()) == set(verdict.duplicated.values()) == {0}
    assert (verdict.read, verdict.accepted, verdict.resent) == (3, 2, 1)
    assert verdict.rejected == {"already_voted": 1}


def totals(evidence: Evidence, topic: str, key: tuple[str, ...], total: Total) -> dict[str, Any]:
    """The totals with another one for a key."""
    return {"totals": {**evidence.totals, topic: {**evidence.totals[topic], key: total}}}


BY_BOTH = "aggregated_votes_per_candidate_by_location"
BOTH = ("votes", "votes_topic", "aggregates")


@pytest.mark.parametrize(
    ("change", "lost", "duplicated"),
    [
        (lambda e: {"votes": e.votes[:1]}, {"votes": 1}, {"aggregates": 1}),
        (lambda e: {"published": e.published[1:]}, {"votes_topic": 1}, {"aggregates": 1}),
        (
            lambda e: {"published": [*e.published, e.published[0]]},
            {"aggregates": 1},
            {"votes_topic": 1},
        ),
        (
            lambda e: {"published": [e.published[0]] * 2},
            {"votes_topic": 1, "aggregates": 1},
            {"votes_topic": 1, "aggregates": 1},
        ),
        (lambda e: totals(e, BY_BOTH, ("Ohio", "a"), Total(0, 0)), {"aggregates": 1}, {}),
        (lambda e: totals(e, BY_BOTH, ("Ohio", "a"), Total(2, 2)), {}, {"aggregates": 1}),
        (lambda e: totals(e, BY_BOTH, ("Ohio", "a"), Total(1, 2)), {}, {"aggregates": 1}),
        (
            lambda e: totals(e, "aggregated_turnout_by_location", ("Erie",), Total(1, 1)),
            {},
            {"aggregates": 1},
        ),
        (
            lambda e: totals(
                e, "aggregated_turnout_by_demographic", ("gender", "male"), Total(0, 0)
            ),
            {"aggregates": 1},
            {},
        ),
        (
            lambda e: {"source": e.source + Counter({("Ada", "Utah"): 2})},
            dict.fromkeys(BOTH, 2),
            {},
        ),
    ],
)
def test_ballots_lost_or_counted_twice_are_numbered(
    change: Callable[[Evidence], dict[str, Any]], lost: dict[str, int], duplicated: dict[str, int]
) -> None:
    """A ballot that a place lacks or has twice is told with the place."""
    verdict = judge(attrs.evolve(sound(), **change(sound())))
    assert not verdict.clean
    assert {place: n for place, n in verdict.lost.items() if n} == lost
    assert {place: n for place, n in verdict.duplicated.items() if n} == duplicated


@pytest.mark.parametrize(
    "change",
    [
        lambda e: {"cast": e.cast[:2]},
        lambda e: {"rejections": []},
        lambda e: {"rejections": [((0, 1), "unregistered")]},
        lambda e: {"rejections_published": []},
        lambda e: {"rejections_published": e.rejections * 2},
        lambda e: {"votes": [attrs.evolve(e.votes[0], age=24), e.votes[1]]},
        lambda e: {"votes": [attrs.evolve(e.votes[0], candidate_id="b"), e.votes[1]]},
        lambda e: {"votes": [attrs.evolve(e.votes[0], place=(0, 1)), e.votes[1]]},
        lambda e: {"votes": [attrs.evolve(e.votes[0], time=datetime(2024, 11, 6)), e.votes[1]]},
        lambda e: {"published": [attrs.evolve(e.published[0], gender="male"), e.published[1]]},
        lambda e: {"counted_topics": {"id", "another"}},
        lambda e: {"register": {}},
    ],
)
def test_whatever_else_is_wrong_is_a_problem(change: Callable[[Evidence], dict[str, Any]]) -> None:
    """A record without its one decision, or a vote that is not what was cast, is told."""
    assert not judge(attrs.evolve(sound(), **change(sound()))).clean


def test_a_total_that_falls_is_seen() -> None:
    """Of each key the last total is kept beside the highest."""
    records = [{"state": "Ohio", "total_votes": n} for n in (1, 5, 3)]
    assert totals_of(records, ("state",)) == {("Ohio",): Total(3, 5)}
