"""The end of a service that has nothing left to do."""

from voting_consumer.idle import IdleTimer


def test_the_timer_expires_after_the_timeout() -> None:
    """The time is measured from the last activity."""
    seconds = iter([0.0, 4.9, 6.0, 10.9, 11.0])
    timer = IdleTimer(5.0, lambda: next(seconds))
    assert not timer.expired
    timer.reset()
    assert not timer.expired
    assert timer.expired


def test_without_a_timeout_the_timer_never_expires() -> None:
    """A service without a timeout runs until it is stopped."""
    seconds = iter([0.0, 1e9])
    assert not IdleTimer(None, lambda: next(seconds)).expired
