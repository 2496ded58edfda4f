"""The totals of the aggregate topics."""

import itertools
import json

from voting_core.aggregates import AggregateView, RegressedTotal

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
