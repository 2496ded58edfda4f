"""A progress bar on a terminal, a log line every few seconds otherwise."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import attrs
import structlog
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from voting_core.service.logging import log_above_a_bar

log = structlog.get_logger()


class ProgressBar(Protocol):
    """Shows the progress of a task."""

    def update(self, done: int, *, position: int | None = None, **figures: int) -> None:
        """Show the number of processed items, and additional numbers by name.

        `position` is the progress in the unit of the task's total, if that is not items.
        """

    def finish(self, event: str, done: int) -> None:
        """Show the task's last step, named by `event`."""


@attrs.define
class LogProgress:
    """Logs the progress every `interval` seconds; the other fields are those of `show_progress`."""

    event: str
    unit: str
    total: int | None
    interval: float = 5.0
    _clock: Callable[[], float] = time.monotonic
    _last: tuple[float, int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._last = (self._clock(), 0)

    def update(self, done: int, *, position: int | None = None, **figures: int) -> None:
        """Log a line if the interval has passed."""
        now = self._clock()
        then, before = self._last
        if now - then < self.interval:
            return
        self._last = (now, done)
        if self.total:
            reached = done if position is None else position
            figures["percent"] = min(100, 100 * reached // self.total)
        rate = round((done - before) / (now - then), 1)
        log.info(self.event, **{self.unit: done}, rate=rate, **figures)

    def finish(self, event: str, done: int) -> None:
        """Log a line."""
        log.info(event, **{self.unit: done})


class _Bar:
    def __init__(self, progress: Progress, event: str, unit: str, total: int | None) -> None:
        self._progress = progress
        self._unit = unit
        self._total = total
        self._task = progress.add_task(f"{event} {unit}", total=total, figures="")

    def update(self, done: int, *, position: int | None = None, **figures: int) -> None:
        reached = done if position is None else position
        if self._total is not None:
            reached = min(reached, self._total)
        numbers = {self._unit: done, **figures}
        text = ", ".join(f"{number:,} {name}" for name, number in numbers.items())
        self._progress.update(self._task, completed=reached, figures=text)

    def finish(self, event: str, done: int) -> None:
        self._progress.update(self._task, description=f"{event} {self._unit}")


@contextmanager
def show_progress(
    event: str, unit: str, total: int | None, console: Console | None = None
) -> Iterator[ProgressBar]:
    """Show the progress of a task, as a bar or as log lines.

    Args:
        event: The task's name, such as `reading`.
        unit: The items' name, such as `voters`.
        total: End of the task; None if unknown.
        console: Console for the bar; standard error by default.
    """
    is_terminal = sys.stderr.isatty() if console is None else console.is_terminal
    if not is_terminal:
        yield LogProgress(event, unit, total)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
    )
    output = console or Console(stderr=True)
    with Progress(*columns, console=output, transient=True) as progress, log_above_a_bar():
        yield _Bar(progress, event, unit, total)
