"""SIGTERM and SIGINT as a request to stop."""

import os
import signal

import pytest

from voting_core.service.signals import StopRequested, StopSignal


def test_a_signal_is_recorded_with_its_exit_code() -> None:
    """A signal does not interrupt the work; it is recorded."""
    stop = StopSignal()
    assert (stop.requested, stop.exit_code) == (False, 0)
    with stop.handle():
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested
    assert stop.exit_code == 128 + signal.SIGTERM


def test_an_interruptible_block_ends_at_once() -> None:
    """In an interruptible block the signal raises, and a later block does not begin."""
    stop = StopSignal()
    reached = []
    with stop.handle():
        with pytest.raises(StopRequested), stop.interruptible():  # noqa: PT012 - tests the block
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("after the signal")
        with pytest.raises(StopRequested), stop.interruptible():
            reached.append("second block")
    assert reached == []


@pytest.mark.parametrize(
    ("cause", "raised"), [(StopRequested(), StopRequested), (ValueError(), SystemError)]
)
def test_a_signal_inside_a_c_function_ends_the_block(
    cause: BaseException, raised: type[BaseException]
) -> None:
    """Python reports it as a SystemError when the function returns a result nevertheless."""
    with pytest.raises(raised), StopSignal().interruptible():
        raise SystemError("returned a result with an exception set") from cause


def test_callbacks_are_called() -> None:
    """A callback is called from the handler."""
    stop = StopSignal()
    calls: list[bool] = []
    stop.on_request(lambda: calls.append(stop.requested))
    with stop.handle():
        os.kill(os.getpid(), signal.SIGTERM)
    assert calls == [True]


def test_a_second_signal_has_the_default_effect() -> None:
    """The first signal restores the default handlers, the end of the block the previous ones."""
    before = signal.getsignal(signal.SIGTERM)
    with (stop := StopSignal()).handle():
        os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    assert stop.requested
    assert signal.getsignal(signal.SIGTERM) is before
