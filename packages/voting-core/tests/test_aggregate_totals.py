"""Reading aggregates that are being written."""

from typing import Any

import attrs
import pytest
from sample_counts import COUNT, totals_of

from voting_core.aggregates import RegressedTotal
from voting_core.operator.reconcile.aggregate_totals import (
    AggregateTotals,
    ProgressRecord,
    certain_offsets,
    settled,
)


class Readings:
    """Successive readings of the aggregates, and a clock that only sleeping advances."""

    def __init__(self, *readings: AggregateTotals) -> None:
        self.readings = list(readings)
        self.now = 0.0

    def settle(self) -> tuple[AggregateTotals, bool]:
        """Read until the totals settle, with a timeout of 2 s."""

        def sleep(seconds: float) -> None:
            self.now += seconds

        def read() -> AggregateTotals:
            return self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]

        return settled(read, 2.0, clock=lambda: self.now, sleep=sleep)


HALF = attrs.evolve(COUNT, locations={"Ohio": 2})


def test_complete_totals_are_returned_immediately() -> None:
    """Totals that add up are read once."""
    whole = totals_of(COUNT, 3)
    readings = Readings(whole)
    assert readings.settle() == (whole, True)
    assert readings.now == 0


def test_incomplete_totals_are_read_again() -> None:
    """Totals that do not add up are read again until they do."""
    whole = totals_of(COUNT, 3, end=2)
    regressed = [RegressedTotal("t", b"k", 1, 2)]
    readings = Readings(
        totals_of(HALF, 3), totals_of(COUNT, 3, regressed, end=1), totals_of(COUNT, 2), whole
    )
    assert readings.settle() == (whole, True)


def test_incomplete_totals_are_returned_after_the_timeout() -> None:
    """Totals without a new record for the timeout are settled."""
    readings = Readings(totals_of(HALF, 3), totals_of(HALF, 3, end=1))
    assert readings.settle() == (totals_of(HALF, 3, end=1), True)
    assert readings.now == pytest.approx(2.5)


def test_totals_that_keep_changing_are_not_settled() -> None:
    """Incomplete totals of a stream that keeps writing are being written."""
    readings = Readings(*(totals_of(HALF, 3, end=number) for number in range(1000)))
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
def test_totals_are_complete_if_every_grouping_adds_up(change: dict[str, Any]) -> None:
    """A single grouping that does not add up to the progress makes the totals incomplete."""
    assert totals_of(COUNT, 3).is_complete
    assert not totals_of(attrs.evolve(COUNT, **change), 3).is_complete


def test_progress_with_a_successor_is_certain_after_a_while() -> None:
    """Real-time mode may still be writing other totals of the votes counted last."""
    progress = [
        ProgressRecord(partition=0, last_offset=5, position=0, written_at=100.0),
        ProgressRecord(partition=1, last_offset=7, position=1, written_at=101.0),
        ProgressRecord(partition=0, last_offset=9, position=2, written_at=105.0),
        ProgressRecord(partition=0, last_offset=12, position=3, written_at=112.0),
        ProgressRecord(partition=0, last_offset=13, position=4, written_at=115.0),
    ]
    assert certain_offsets(progress) == {0: 9}
    assert certain_offsets(progress[:3]) == {}


def test_a_clock_that_is_ahead_makes_no_progress_of_another_partition_certain() -> None:
    """Another executor may have written it."""
    progress = [
        ProgressRecord(partition=0, last_offset=5, position=0, written_at=100.0),
        ProgressRecord(partition=0, last_offset=9, position=1, written_at=101.0),
        ProgressRecord(partition=1, last_offset=7, position=2, written_at=900.0),
    ]
    assert certain_offsets(progress) == {}
