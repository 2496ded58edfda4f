"""Showing how far it has come: a bar on a terminal, a log line every few seconds otherwise."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import attrs
import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from voting_core.service.health import Heartbeat
from voting_core.service.logging import log_above_a_bar

__all__ = ["LogProgress", "NoProgress", "ProgressDisplay", "show_progress"]

_log = structlog.get_logger()


class ProgressDisplay(Protocol):
    """Is told of every batch."""

    def update(self, sent: int) -> None:
        """Take note of how many ballots were sent so far."""


class NoProgress:
    """Shows nothing."""

    def update(self, sent: int) -> None:
        """Do nothing."""


@attrs.define
class LogProgress:
    """Logs every few seconds how many ballots were sent, and how many a second.

    Attributes:
        expected: How many there will be.
        interval: Seconds between two lines.
    """

    expected: int
    interval: float = 5.0
    _clock: Callable[[], float] = time.monotonic
    _last: tuple[float, int] | None = attrs.field(default=None, init=False)

    def update(self, sent: int) -> None:
        """Log a line if it is time for one."""
        now = self._clock()
        if self._last is None:
            self._last = (now, sent)
            return
        then, before = self._last
        if now - then >= self.interval:
            rate = (sent - before) / (now - then)
            _log.info("sending", sent=sent, expected=self.expected, rate=round(rate, 1))
            self._last = (now, sent)


class _Bar:
    def __init__(self, progress: Progress, expected: int) -> None:
        self._progress = progress
        self._task = progress.add_task("voters", total=expected, rate=0)

    def update(self, sent: int) -> None:
        self._progress.update(
            self._task, completed=sent, rate=round(self._progress.tasks[0].speed or 0)
        )


@attrs.frozen
class _Beating:
    display: ProgressDisplay
    heartbeat: Heartbeat

    def update(self, sent: int) -> None:
        self.display.update(sent)
        self.heartbeat.beat()


@contextmanager
def show_progress(expected: int, heartbeat: Heartbeat) -> Iterator[ProgressDisplay]:
    """Show progress as fits where standard error goes, with a heartbeat for every batch."""
    if not sys.stderr.isatty():
        yield _Beating(LogProgress(expected), heartbeat)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:,}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress, log_above_a_bar():
        yield _Beating(_Bar(progress, expected), heartbeat)
