"""The demo's handling of SIGINT and SIGTERM."""

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from voting_infra.demo.interrupts import Interrupts

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    """Installed during the test."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    installed = Interrupts()
    installed.install()
    yield installed
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_interrupts_at_once(interrupts: Interrupts, number: signal.Signals) -> None:
    """As Ctrl-C does."""
    interrupts.check()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)


def test_an_interrupt_in_a_finalizer_is_raised_at_the_next_check(
    interrupts: Interrupts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python only reports the first one."""
    ignored = []
    monkeypatch.setattr(sys, "unraisablehook", lambda error: ignored.append(error.exc_type))

    class Finalized:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    Finalized()
    assert ignored == [KeyboardInterrupt]
    with pytest.raises(KeyboardInterrupt):
        interrupts.check()
