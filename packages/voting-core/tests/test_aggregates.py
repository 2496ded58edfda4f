"""The totals of the aggregate topics."""

import itertools
import json
from typing import Any

import pytest

from voting_core.aggregates import (
    AGGREGATE_FIELDS,
    AggregateView,
    RegressedTotal,
    check_total,
    unproven_sums,
    unproven_totals,
)
from voting_core.exceptions import SerializationError

TOPIC = "aggregated_turnout_by_location"


def record(state: str, total: int, votes_topic_id: str = "now") -> tuple[str, bytes, bytes]:
    """Return a record of the turnout by location."""
    value = {"state": state, "total_votes": total, "votes_topic_id": votes_topic_id}
    return TOPIC, state.encode(), json.dumps(value).encode()


def test_the_highest_total_wins_in_any_order() -> None:
    """Each key ends at its highest total, in any order of the records."""
    records = [record("Ohio", 3), record("Ohio", 1), record("Iowa", 2), record("Ohio", 2)]
    for order in itertools.permutations(records):
        view = AggregateView("now")
        for each in order:
            view.apply(*each)
        assert {row["state"]: row["total_votes"] for row in view.rows(TOPIC)} == {
            "Ohio": 3,
            "Iowa": 2,
        }


def test_totals_of_another_votes_topic_do_not_count() -> None:
    """Totals of a votes_topic that was deleted and recreated since are ignored."""
    view = AggregateView("now")
    assert not view.apply(*record("Ohio", 99, "before"))
    assert view.apply(*record("Ohio", 1))
    assert [row["total_votes"] for row in view.rows(TOPIC)] == [1]


def test_apply_returns_whether_a_total_rose() -> None:
    """A repeated record changes nothing, and the return value shows it."""
    view = AggregateView("now")
    assert [view.apply(*record("Ohio", n)) for n in (1, 1, 2)] == [True, False, True]


def test_a_last_total_below_the_highest_is_reported() -> None:
    """A key whose last total is below an earlier one is reported until it has caught up."""
    view = AggregateView("now")
    for each in (record("Ohio", 3), record("Iowa", 2), record("Ohio", 1)):
        view.apply(*each)
    assert view.regressed() == [RegressedTotal(TOPIC, b"Ohio", last=1, highest=3)]
    view.apply(*record("Ohio", 3))
    assert view.regressed() == []


def total_of(topic: str, **changes: Any) -> dict[str, Any]:
    """Return a record of a topic, with some fields changed."""
    fields = {name: kind(1) for name, kind in AGGREGATE_FIELDS[topic].items()}
    if "dimension" in fields:
        fields["dimension"] = "gender"
    if "minute" in fields:
        fields["minute"] = MINUTE
    return {**fields, "total_votes": 1, "votes_topic_id": "now", **changes}


MINUTE = "2026-11-03T10:00:00Z"
KEYS = {
    "aggregated_votes_per_candidate": b"1",
    "aggregated_turnout_by_location": b"1",
    "aggregated_votes_per_candidate_by_location": b'["1","1"]',
    "aggregated_turnout_by_demographic": b'["gender","1"]',
    "aggregated_votes_over_time": f'["{MINUTE}","1"]'.encode(),
    "aggregated_progress": b"1",
}


@pytest.mark.parametrize("topic", AGGREGATE_FIELDS)
def test_every_field_of_a_total_is_checked(topic: str) -> None:
    """A missing field, or one of another type, is named; true is not a number."""
    check_total(topic, KEYS[topic], total_of(topic))
    for name, value in total_of(topic).items():
        expected = "text" if isinstance(value, str) else "whole number"
        for wrong in (None, True, 1.5):
            with pytest.raises(SerializationError, match=f"{name}: expected a {expected}"):
                check_total(topic, KEYS[topic], total_of(topic, **{name: wrong}))


@pytest.mark.parametrize("topic", AGGREGATE_FIELDS)
@pytest.mark.parametrize("key", [None, b"", b"2", b'["1"]', b'["1","2"]', b'["1","1"', b"\xff"])
def test_a_key_that_does_not_fit_is_refused(topic: str, key: bytes | None) -> None:
    """Beside the true key it would add to the sums."""
    with pytest.raises(SerializationError, match="key"):
        check_total(topic, key, total_of(topic))


@pytest.mark.parametrize(
    "change",
    [
        {"total_votes": -1},
        {"total_votes": 2**63},
        {"partition": -1},
        {"foreign_records": -1},
        {"foreign_records": "1"},
        {"first_foreign_offset": -1},
    ],
)
def test_a_number_out_of_range_is_refused(change: dict[str, Any]) -> None:
    """The optional counts of foreign records are checked where they are."""
    topic = "aggregated_progress"
    check_total(topic, b"1", total_of(topic, foreign_records=2, first_foreign_offset=0))
    with pytest.raises(SerializationError):
        check_total(topic, b"1", total_of(topic, **change))


@pytest.mark.parametrize(
    "minute",
    ["", "1", "2026-13-03T10:00:00Z", "2026-11-03T10:00:30Z", "2026-11-03T10:00:00", f"{MINUTE} "],
)
def test_a_minute_that_is_none_is_refused(minute: str) -> None:
    """Readers show it on a time axis."""
    topic = "aggregated_votes_over_time"
    with pytest.raises(SerializationError, match="minute"):
        check_total(topic, f'["{minute}","1"]'.encode(), total_of(topic, minute=minute))


def test_an_unknown_dimension_is_refused() -> None:
    """Its sum would not be compared with the others."""
    topic = "aggregated_turnout_by_demographic"
    with pytest.raises(SerializationError, match="dimension"):
        check_total(topic, b'["height","1"]', total_of(topic, dimension="height"))


@pytest.mark.parametrize("key", [b'["Ohio", "ada"]', b' ["Ohio","ada"]', b'["\\u004fhio","ada"]'])
def test_another_spelling_of_a_key_is_the_same_key(key: bytes) -> None:
    """It is not counted beside the key that the stream writes."""
    topic = "aggregated_votes_per_candidate_by_location"
    view = AggregateView("now")
    for each, total in ((b'["Ohio","ada"]', 3), (key, 4)):
        row = total_of(topic, state="Ohio", candidate_id="ada", total_votes=total)
        assert view.apply(topic, each, json.dumps(row).encode())
    assert view.sums() == {topic: 4}


def test_a_field_of_another_topic_does_not_hide_a_total_from_the_sums() -> None:
    """Only the demographic topic holds several groupings."""
    topic = "aggregated_turnout_by_location"
    view = AggregateView("now")
    for state, changes in (("Ohio", {}), ("Iowa", {"dimension": "gender"})):
        row = total_of(topic, state=state, **changes)
        view.apply(topic, state.encode(), json.dumps(row).encode())
    assert view.sums() == {topic: 2}


def test_foreign_records_are_kept_without_a_vote() -> None:
    """A batch of foreign records only raises their number, not the total; replays are harmless."""
    topic = "aggregated_progress"
    view = AggregateView("now")
    rows = [
        total_of(topic, total_votes=3),
        total_of(topic, total_votes=3, foreign_records=1, first_foreign_offset=9),
        total_of(topic, total_votes=3, foreign_records=2, first_foreign_offset=9),
    ]
    applied = [view.apply(topic, b"1", json.dumps(row).encode()) for row in (*rows, *rows)]
    assert applied == [True, True, True, False, False, False]
    assert view.rows(topic) == rows[-1:]


@pytest.mark.parametrize("value", [None, b"{}", b"[]", b"\xff", b'{"votes_topic_id":"now"}'])
def test_a_record_that_is_no_total_is_refused(value: bytes | None) -> None:
    """Also one that carries the right id; the totals stay."""
    view = AggregateView("now")
    view.apply(*record("Ohio", 3))
    with pytest.raises(SerializationError):
        view.apply(TOPIC, b"Ohio", value)
    assert view.sums() == {TOPIC: 3}


def test_no_sum_may_exceed_the_accepted_votes() -> None:
    """Every grouping counts each vote once; the demographic dimensions are separate groupings."""
    demographic = "aggregated_turnout_by_demographic"
    view = AggregateView("now")
    view.apply(*record("Ohio", 3))
    view.apply(*record("Iowa", 2))
    for dimension, value, total in (("gender", "f", 5), ("age_band", "18-24", 6)):
        fields = {"dimension": dimension, "value": value, "total_votes": total}
        key = json.dumps([dimension, value]).encode()
        view.apply(demographic, key, json.dumps({**fields, "votes_topic_id": "now"}).encode())
    assert unproven_sums(view.sums(), 6) == {}
    assert unproven_sums(view.sums(), 5) == {f"{demographic} age_band": 6}
    assert set(unproven_sums(view.sums(), 4)) == set(view.sums())


def test_an_unproven_total_is_described_once_for_each_topic() -> None:
    """By its first grouping; the description contains both numbers."""
    demographic = "aggregated_turnout_by_demographic"
    sums = {TOPIC: 1_005, f"{demographic} gender": 1_004, f"{demographic} age_band": 1_005}
    assert unproven_totals(sums, 1_005) == {}
    assert unproven_totals(sums, 1_003) == {
        TOPIC: "the totals add up to 1,005 votes, PostgreSQL has 1,003",
        demographic: "the totals by gender add up to 1,004 votes, PostgreSQL has 1,003",
    }
