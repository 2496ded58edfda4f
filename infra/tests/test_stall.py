"""A stall of the demo's count."""

import attrs

from voting_infra.demo.stall import StallTimer


@attrs.define
class Clock:
    """A clock that is set by hand."""

    now: float = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_records_that_do_not_move_are_a_stall() -> None:
    """It is noticed after the timeout, not before."""
    clock = Clock()
    timer = StallTimer(180, clock)
    assert not timer.is_stalled("state", in_flight=True)
    clock.now = 180
    assert not timer.is_stalled("state", in_flight=True)
    clock.now = 181
    assert timer.is_stalled("state", in_flight=True)


def test_any_change_restarts_the_timer() -> None:
    """The count is slow, but moves."""
    clock = Clock()
    timer = StallTimer(180, clock)
    for number in range(5):
        clock.now += 170
        assert not timer.is_stalled(number, in_flight=True)


def test_waiting_for_the_source_is_no_stall() -> None:
    """An API answers 429 for minutes; the time counts from when records are in flight again."""
    clock = Clock()
    timer = StallTimer(180, clock)
    for _ in range(10):
        clock.now += 60
        assert not timer.is_stalled("state", in_flight=False)
    clock.now += 170
    assert not timer.is_stalled("state", in_flight=True)
    clock.now += 20
    assert timer.is_stalled("state", in_flight=True)
