"""The arithmetic of rates and sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling.rates import Mark, steady_rate
from scaling.report import measured_table, needs_table
from scaling.sizing import DEMANDS, Demand, Measured, Need, needs


def test_a_steady_stream_has_its_rate() -> None:
    """50 votes per second have the rate 50, however they are batched."""
    one_by_one = [Mark(1000 + n / 50) for n in range(5000)]
    assert steady_rate(one_by_one) == pytest.approx(50)
    in_batches = [Mark(1000 + n, 50) for n in range(100)]
    assert steady_rate(reversed(in_batches)) == pytest.approx(50)


def test_a_slow_start_and_a_slow_end_do_not_count() -> None:
    """The rate is that of the time in which all services work."""
    slow_start = [Mark(float(n)) for n in range(90)]
    steady = [Mark(100 + n / 100) for n in range(1000)]
    slow_end = [Mark(200.0 + n) for n in range(90)]
    assert steady_rate(slow_start + steady + slow_end) == pytest.approx(100, rel=0.01)


@pytest.mark.parametrize("marks", [[], [Mark(1.0)], [Mark(1.0, 7), Mark(1.0, 9)]])
def test_votes_at_one_time_have_no_rate(marks: list[Mark]) -> None:
    """A rate needs votes at several times."""
    with pytest.raises(ValueError, match="have no rate"):
        steady_rate(marks)


def test_the_demands_are_those_of_the_document() -> None:
    """160 million votes in 12 hours are 3,704 per second; the peak is ten times that."""
    assert [round(demand.rate) for demand in DEMANDS] == [3704, 37_037, 370_370, 3_703_704]


@given(st.integers(1, 8), st.floats(100, 1e5), st.floats(1, 1e7))
def test_the_required_number_is_the_smallest_that_suffices(
    count: int, rate: float, demand: float
) -> None:
    """As many services as required meet the demand, one fewer does not."""
    measured = Measured(count, rate, rate * 2, rate * 3)
    (need,) = needs(measured, [Demand("any", demand)])
    for number, together in (
        (need.producers, measured.producers),
        (need.consumers, measured.consumers),
        (need.stream_cores, measured.stream),
    ):
        each = together / count
        assert number * each >= demand * (1 - 1e-9)
        assert (number - 1) * each < demand * (1 + 1e-9)


def test_tables_are_markdown() -> None:
    """Each row is a line, and numbers have thousands separators."""
    assert measured_table([Measured(2, 12_345.6, 1000, 999.4)]).splitlines() == [
        (
            "| partitions, and services of each kind | producers, votes/s | consumers, votes/s "
            "| stream, votes/s |"
        ),
        "| --- | ---: | ---: | ---: |",
        "| 2 | 12,346 | 1,000 | 999 |",
    ]
    need = Need(Demand("a large one", 37_037.04), 1, 1_200, 3)
    assert needs_table([need]).splitlines()[2] == "| a large one | 37,037 | 1 | 1,200 | 3 |"
