"""Sending at a steady rate."""

import pytest

from voting_producer.throttle import Throttle


class Clock:
    """A clock that advances only by sleeping."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Advance the time."""
        assert seconds > 0
        self.now += seconds


def send(throttle: Throttle, voters: int, clock: Clock) -> list[tuple[float, int]]:
    """Return the time of each batch, and the number of ballots sent before it."""
    sent, sendings = 0, []
    while sent < voters:
        throttle.wait(sent)
        sendings.append((clock.now - 100.0, sent))
        sent += min(throttle.batch_size(2000), voters - sent)
    return sendings


@pytest.mark.parametrize("rate", [0.5, 3.0, 37.0, 1000.0, 123_456.0])
def test_rate_is_kept_evenly(rate: float) -> None:
    """At any moment exactly as many ballots have been sent as the rate allows."""
    clock = Clock()
    for moment, sent in send(Throttle(rate, clock, clock.sleep), int(rate * 10), clock):
        assert moment == pytest.approx(sent / rate)


@pytest.mark.parametrize("rate", [0.01, 5.0, 5000.0])
def test_the_first_batch_is_sent_at_once(rate: float) -> None:
    """The first batch does not wait, and at a low rate it is a single ballot."""
    clock = Clock()
    throttle = Throttle(rate, clock, clock.sleep)
    throttle.wait(0)
    assert clock.now == 100.0
    assert throttle.batch_size(2000) == max(1, rate // 10)


def test_without_a_rate_nothing_waits() -> None:
    """Without a rate, batches have the maximum size and are sent at once."""
    clock = Clock()
    throttle = Throttle(None, clock, clock.sleep)
    throttle.wait(10**9)
    assert clock.now == 100.0
    assert throttle.batch_size(2000) == 2000


def test_a_long_delay_is_not_made_up_for() -> None:
    """After a delay elsewhere the rate applies as before, without a burst."""
    clock = Clock()
    throttle = Throttle(10.0, clock, clock.sleep)
    throttle.wait(0)
    clock.now += 60.0
    throttle.wait(1)
    throttle.wait(11)
    assert clock.now == pytest.approx(161.0)
