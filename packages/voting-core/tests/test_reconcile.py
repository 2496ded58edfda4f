"""Comparing counts."""

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from voting_core.operator.counts import Count
from voting_core.operator.reconcile.agreement import (
    Places,
    check_counts,
    check_names,
    check_reasons,
)
from voting_core.operator.reconcile.difference import NAMED
from voting_core.operator.reconcile.tallies import PartitionTally, Tallies, settled

from voting_core.aggregates import RegressedTotal
from voting_core.checkpoint import OutputPosition, PartitionCheckpoint
from voting_core.operator.reconcile import Difference, Findings, InFlight, Reconciliation
from voting_core.operator.reconcile.watermark import PartitionWatermark, partition_watermarks

COUNT = Count(
    votes=3,
    candidates={"ada": 2, "bob": 1},
    locations={"Ohio": 3},
    candidates_by_location={("Ohio", "ada"): 2, ("Ohio", "bob"): 1},
    names={"ada": "Ada", "bob": "Bob"},
    demographics={("gender", "female"): 3, ("age_band", "25-34"): 3},
    minutes={("2024-11-05T17:03:00Z", "ada"): 2, ("2024-11-05T17:03:00Z", "bob"): 1},
)
NONE = Count(0, {}, {}, {}, {})
# The vote for Bob is not tallied yet.
FOR_BOB = Count(
    votes=1,
    candidates={"bob": 1},
    locations={"Ohio": 1},
    candidates_by_location={("Ohio", "bob"): 1},
    names={},
    demographics={("gender", "female"): 1, ("age_band", "25-34"): 1},
    minutes={("2024-11-05T17:03:00Z", "bob"): 1},
)
MOVED = attrs.evolve(COUNT, candidates={"ada": 1, "bob": 2})


def tallies_of(
    count: Count, votes: int, regressed: Sequence[RegressedTotal] = (), end: int = 0
) -> Tallies:
    """Aggregates of one partition, whose own progress counts some votes."""
    partitions = {0: PartitionTally(votes, votes, -1)} if votes else {}
    ends = {("aggregated_progress", 0): end}
    return Tallies(count, frozenset(), partitions, regressed, (), ends)


def places(**changes: Any) -> Places:
    """A count that has come to its end everywhere, but for changes."""
    drained: dict[str, Any] = {
        "postgres": COUNT,
        "unpublished": NONE,
        "votes_topic": COUNT,
        "untallied": NONE,
        "uncertain": NONE,
        "tallies": tallies_of(COUNT, 3),
        "still": True,
    }
    return Places(**drained | changes)


def figures(found: Places) -> tuple[set[str], bool]:
    """What disagrees, and whether the aggregates were being written."""
    findings = Findings()
    writing = check_counts(found, findings)
    return {each.figure for each in findings.named}, writing


def test_equal_counts_agree() -> None:
    """Nothing differs between the same counts."""
    assert figures(places()) == (set(), False)


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
    """A figure that one place counts otherwise, or lacks, is named."""
    other = attrs.evolve(COUNT, **change)
    assert figures(places(votes_topic=other)) == ({figure}, False)


def test_candidates_of_one_name_add_up() -> None:
    """By name, two ids of one name are one line."""
    count = attrs.evolve(COUNT, names={"ada": "Ada", "bob": "Ada"})
    assert count.by_name() == {"Ada": 3}


def test_a_count_without_a_part_of_it() -> None:
    """Taking a part away and putting it back leaves the count, and no entry of zero."""
    assert "bob" not in COUNT.minus(FOR_BOB).candidates
    assert COUNT.minus(FOR_BOB).plus(FOR_BOB) == COUNT


def test_only_the_first_of_a_kind_are_named() -> None:
    """However much differs, a bounded number is kept, and how much more there is."""
    findings = Findings()
    for number in range(NAMED + 5):
        findings.add("minute", [Difference(str(number), {"a": 0, "b": 1})])
    findings.add("voter", [Difference("v1", {"a": 0, "b": 1})], number=1000)
    assert [each.figure for each in findings.named] == [*map(str, range(NAMED)), "v1"]
    assert findings.omitted == {"minute": 5, "voter": 999}


def test_a_drained_count_is_compared_in_all_places_at_once() -> None:
    """When nothing is in flight a difference shows the number of each place."""
    findings = Findings()
    assert not check_counts(places(tallies=tallies_of(MOVED, 3)), findings)
    assert findings.named == (
        Difference("candidate ada", {"postgres": 2, "votes_topic": 2, "aggregates": 1}),
        Difference("candidate bob", {"postgres": 1, "votes_topic": 1, "aggregates": 2}),
    )


def test_votes_in_flight_are_no_difference() -> None:
    """Stored and not published, published and not tallied: neither is a disagreement."""
    published = COUNT.minus(FOR_BOB)
    waiting = places(unpublished=FOR_BOB, votes_topic=published, tallies=tallies_of(published, 2))
    assert figures(waiting) == (set(), False)
    untallied = places(
        untallied=FOR_BOB, uncertain=COUNT, tallies=tallies_of(COUNT.minus(FOR_BOB), 2)
    )
    assert figures(untallied) == (set(), False)
    assert figures(places(untallied=COUNT, uncertain=COUNT, tallies=tallies_of(NONE, 0))) == (
        set(),
        False,
    )


def test_a_lost_vote_is_no_vote_in_flight() -> None:
    """What is missing beyond what is in flight is a disagreement."""
    lost, _ = figures(places(votes_topic=COUNT.minus(FOR_BOB), tallies=tallies_of(COUNT, 3)))
    assert {"votes", "candidate bob", "location Ohio", "demographic gender, female"} <= lost


def test_totals_between_two_batches_must_fit_exactly() -> None:
    """While votes wait to be tallied, totals that add up are held against what they count."""
    tallied = attrs.evolve(COUNT.minus(FOR_BOB), candidates={"ada": 1, "bob": 1})
    waiting = places(untallied=FOR_BOB, uncertain=COUNT, tallies=tallies_of(tallied, 2))
    assert figures(waiting) == ({"candidate ada", "candidate bob"}, False)


def test_half_a_batch_is_in_flight() -> None:
    """Totals that are ahead of the progress, but not of votes_topic, are being written."""
    ahead = attrs.evolve(COUNT.minus(FOR_BOB), candidates=COUNT.candidates, votes=3)
    for still in (True, False):
        half = places(untallied=FOR_BOB, uncertain=COUNT, tallies=tallies_of(ahead, 2), still=still)
        assert figures(half) == (set(), True)


def test_totals_beyond_the_votes_are_never_in_flight() -> None:
    """A total of more votes than there are, or fewer than are certain, is found at any time."""
    beyond = attrs.evolve(COUNT, candidates={"ada": 2, "bob": 2}, votes=4)
    found = places(untallied=FOR_BOB, uncertain=COUNT, tallies=tallies_of(beyond, 2), still=False)
    assert figures(found) == ({"votes", "candidate bob"}, True)
    behind = attrs.evolve(COUNT, candidates={"ada": 1, "bob": 1}, votes=2)
    found = places(untallied=FOR_BOB, uncertain=FOR_BOB, tallies=tallies_of(behind, 3), still=False)
    assert figures(found) == ({"candidate ada"}, True)


def test_totals_that_stand_still_with_nothing_to_tally_are_wrong() -> None:
    """Half a batch that nobody completes, when the progress says all is tallied, disagrees."""
    lacking = attrs.evolve(COUNT, locations={"Ohio": 2})
    assert figures(places(tallies=tallies_of(lacking, 3))) == ({"location Ohio"}, False)
    assert figures(places(tallies=tallies_of(lacking, 3), uncertain=COUNT, still=False)) == (
        set(),
        True,
    )


def test_a_candidate_by_another_name_is_named() -> None:
    """Records that name a candidate otherwise than registered are a disagreement."""
    findings = Findings()
    registered = {"ada": ("ada", "Ada", "")}
    named = {("ada", "Ada", ""): 5, ("ada", "Eve", ""): 2, ("eve", "Eve", ""): 1}
    check_names(registered, "votes_topic", named, findings)
    assert [dict(each.found) for each in findings.named] == [
        {"votes_topic": 2, "allowed": 0},
        {"votes_topic": 1, "allowed": 0},
    ]


def test_rejections_are_compared_by_reason() -> None:
    """A reason that one place counts otherwise, or does not know, is named."""
    findings = Findings()
    check_reasons({"postgres": {"underage": 2, "malformed": 1}, "t": {"underage": 2}}, findings)
    assert findings.named == (Difference("rejected: malformed", {"postgres": 1, "t": 0}),)


class Readings:
    """Aggregates as they are read one time after the other, and a clock that sleeping moves."""

    def __init__(self, *readings: Tallies) -> None:
        self.readings = list(readings)
        self.now = 0.0

    def settle(self) -> tuple[Tallies, bool]:
        """Read until they settle, with a patience of 2 s."""

        def sleep(seconds: float) -> None:
            self.now += seconds

        def read() -> Tallies:
            return self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]

        return settled(read, 2.0, clock=lambda: self.now, sleep=sleep)


HALF = attrs.evolve(COUNT, locations={"Ohio": 2})


def test_whole_totals_are_taken_at_once() -> None:
    """Totals that add up need no second look."""
    whole = tallies_of(COUNT, 3)
    readings = Readings(whole)
    assert readings.settle() == (whole, True)
    assert readings.now == 0


def test_half_a_batch_is_waited_out() -> None:
    """Totals that do not add up are read again until they do."""
    whole = tallies_of(COUNT, 3, end=2)
    regressed = [RegressedTotal("t", b"k", 1, 2)]
    readings = Readings(
        tallies_of(HALF, 3), tallies_of(COUNT, 3, regressed, end=1), tallies_of(COUNT, 2), whole
    )
    assert readings.settle() == (whole, True)


def test_totals_that_never_fit_are_taken_when_they_stand_still() -> None:
    """After the patience without a new record, totals are taken as they are."""
    readings = Readings(tallies_of(HALF, 3), tallies_of(HALF, 3, end=1))
    assert readings.settle() == (tallies_of(HALF, 3, end=1), True)
    assert readings.now == pytest.approx(2.5)


def test_totals_that_never_rest_are_being_written() -> None:
    """A stream that writes all the time is told from one that stands still."""
    readings = Readings(*(tallies_of(HALF, 3, end=number) for number in range(1000)))
    assert readings.settle()[1] is False


@pytest.mark.parametrize(
    "change",
    [
        {"votes": 2},
        {"locations": {"Ohio": 2}},
        {"candidates_by_location": {("Ohio", "ada"): 2}},
        {"demographics": {("gender", "female"): 3, ("age_band", "25-34"): 2}},
        {"demographics": {("gender", "female"): 3}},
        {"demographics": COUNT.demographics | {("shoe_size", "40"): 1}},  # type: ignore[operator]
        {"minutes": {("2024-11-05T17:03:00Z", "ada"): 2}},
    ],
)
def test_sums_of_every_grouping_make_totals_whole(change: dict[str, Any]) -> None:
    """One grouping that does not add up to the progress is enough to look again."""
    assert tallies_of(COUNT, 3).is_whole
    assert not tallies_of(attrs.evolve(COUNT, **change), 3).is_whole


def test_progress_into_a_lost_topic_says_nothing() -> None:
    """What is published to a topic that was recreated since has to be published again."""
    progress = PartitionCheckpoint(
        "v", 0, votes=OutputPosition("old", 9), rejected_votes=OutputPosition("rejected", 7)
    )
    assert partition_watermarks({0: 0, 1: 0}, {0: progress}, "new", "rejected") == {
        0: PartitionWatermark(votes=0, rejections=7, decided=9),
        1: PartitionWatermark(0, 0, 0),
    }


def test_the_verdict_in_one_line_and_in_json() -> None:
    """Agreement and what is in flight are told; differences make it a disagreement."""
    found = Reconciliation(
        records=5,
        counts={"postgres": COUNT},
        rejected={"postgres": {"underage": 1}},
        in_flight=InFlight(records=1),
    )
    assert found.line() == (
        "5 records, 3 votes, 1 rejections: voters_topic, postgres agree; "
        "in flight: 1 records to decide and publish"
    )
    assert found.as_json()["agrees"] is True
    assert found.as_json()["in_flight"]["records"] == 1
    wrong = attrs.evolve(found, differences=(Difference("votes", {"a": 1, "b": 2}),))
    assert wrong.as_json()["agrees"] is False
    assert wrong.as_json()["differences"] == [
        {"figure": "votes", "found": {"a": 1, "b": 2}, "detail": ""}
    ]
    assert "DISAGREE" in wrong.line()
