"""The totals of the aggregate topics."""

import itertools
import json
from typing import Any

import pytest

from voting_core.aggregates import AGGREGATE_FIELDS, AggregateView, RegressedTotal, check_total
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
    return {**fields, "total_votes": 1, "votes_topic_id": "now", **changes}


@pytest.mark.parametrize("topic", AGGREGATE_FIELDS)
def test_every_field_of_a_total_is_checked(topic: str) -> None:
    """A missing field, or one of another type, is named; true is not a number."""
    check_total(topic, total_of(topic))
    for name, value in total_of(topic).items():
        expected = "text" if isinstance(value, str) else "whole number"
        for wrong in (None, True, 1.5):
            with pytest.raises(SerializationError, match=f"{name}: expected a {expected}"):
                check_total(topic, total_of(topic, **{name: wrong}))
