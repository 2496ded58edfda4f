"""The outcome of a reconciliation."""

import attrs
from sample_counts import COUNT

from voting_core.operator.reconcile import Difference, InFlight, Reconciliation


def test_the_verdict_in_one_line_and_in_json() -> None:
    """The line and the JSON contain the verdict, what is in flight and the differences."""
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
