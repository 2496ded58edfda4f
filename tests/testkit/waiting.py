"""Waiting for a condition, where nothing announces that it has become true."""

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any

__all__ = ["becomes_true", "eventually", "is_blocked"]

BLOCKED_SECONDS = 1.0
"""How long a call must not return to count as blocked; a missing rule lets it return at once."""


def becomes_true(condition: Callable[[], bool], timeout: float, *, interval: float = 0.05) -> bool:
    """Return whether a condition becomes true within a timeout, in seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True


def eventually(
    condition: Callable[[], bool], what: str, *, timeout: float = 120.0, interval: float = 0.05
) -> None:
    """Wait until a condition is true.

    Args:
        condition: Checked until it is true; an error that it raises ends the wait.
        what: The condition in words, for the message.
        timeout: In seconds.
        interval: Seconds between two checks.

    Raises:
        AssertionError: It is not true within the timeout.
    """
    if not becomes_true(condition, timeout, interval=interval):
        raise AssertionError(f"not within {timeout:g} s: {what}")


def is_blocked(future: "Future[Any]") -> bool:
    """Return whether a call has not returned after a second in which it could have."""
    return not wait([future], BLOCKED_SECONDS).done
