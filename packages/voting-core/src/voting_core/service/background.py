"""Calls in threads of their own, which may never return."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def run_in_background(function: Callable[[], T], *, name: str | None = None) -> "Future[T]":
    """Run a function in a thread that does not keep the process alive.

    Unlike a pool, it does not wait at the end for a call that never returns.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return outcome
