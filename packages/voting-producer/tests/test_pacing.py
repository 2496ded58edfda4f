"""The rate limit."""

import pytest

from voting_producer.pacing import Pace


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        assert seconds > 0
        self.now += seconds


def send(pace: Pace, voters: int, clock: Clock) -> list[tuple[float, int]]:
    """Send voters in batches; return for each batch when it went and how many had gone before."""
    sent, sendings = 0, []
    while sent < voters:
        pace.wait(sent)
        sendings.append((clock.now - 100.0, sent))
        sent += min(pace.batch_size(2000), voters - sent)
    return sendings


@pytest.mark.parametrize("rate", [0.5, 3.0, 37.0, 1000.0, 123_456.0])
def test_rate_is_kept_evenly(rate: float) -> None:
    """At any moment as many voters have gone as the rate allows, never fewer or more."""
    clock = Clock()
    for moment, sent in send(Pace(rate, clock, clock.sleep), int(rate * 10), clock):
        assert moment == pytest.approx(sent / rate)


@pytest.mark.parametrize("rate", [0.01, 5.0, 5000.0])
def test_first_votes_go_at_once(rate: float) -> None:
    """The first batch does not wait, and at a low rate it is a single voter."""
    clock = Clock()
    pace = Pace(rate, clock, clock.sleep)
    pace.wait(0)
    assert clock.now == 100.0
    assert pace.batch_size(2000) == max(1, rate // 10)


def test_without_rate_nothing_waits() -> None:
    """Without a limit batches are as large as they may be and go at once."""
    clock = Clock()
    pace = Pace(None, clock, clock.sleep)
    pace.wait(10**9)
    assert clock.now == 100.0
    assert pace.batch_size(2000) == 2000


def test_hold_up_is_not_made_up_for() -> None:
    """After a long wait for something else the rate holds as before, without a burst."""
    clock = Clock()
    pace = Pace(10.0, clock, clock.sleep)
    pace.wait(0)
    clock.now += 60.0
    pace.wait(1)
    pace.wait(11)
    assert clock.now == pytest.approx(161.0)
