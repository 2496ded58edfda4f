"""Showing how far a file is read: a bar on a terminal, a log line every few seconds otherwise."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import attrs
import structlog
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from voting_core.service.logging import log_above_a_bar

__all__ = ["FileProgress", "LogProgress", "show_file_progress"]

log = structlog.get_logger()


class FileProgress(Protocol):
    """Is told of every thousand rows or so."""

    def update(self, rows: int, bytes_read: int) -> None:
        """Take note of how far the file is read."""

    def storing(self, rows: int) -> None:
        """Take note that the whole file is read and is being stored."""


@attrs.define
class LogProgress:
    """Logs every few seconds how many rows were read.

    Attributes:
        what: What the rows are.
        size: Of the file in bytes; None if it is not known.
        interval: Seconds between two lines.
    """

    what: str
    size: int | None
    interval: float = 5.0
    _clock: Callable[[], float] = time.monotonic
    _last: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._last = self._clock()

    def update(self, rows: int, bytes_read: int) -> None:
        """Log a line if it is time for one."""
        now = self._clock()
        if now - self._last < self.interval:
            return
        self._last = now
        share = {} if self.size is None else {"percent": min(100, 100 * bytes_read // self.size)}
        log.info("reading", what=self.what, rows=rows, **share)

    def storing(self, rows: int) -> None:
        """Log that storing begins."""
        log.info("storing", what=self.what, rows=rows)


class _Bar:
    def __init__(self, progress: Progress, what: str, size: int | None) -> None:
        self._progress = progress
        self._size = size
        self._task = progress.add_task(f"reading {what}", total=size, rows=0)
        self._what = what

    def update(self, rows: int, bytes_read: int) -> None:
        completed = bytes_read if self._size is None else min(bytes_read, self._size)
        self._progress.update(self._task, completed=completed, rows=rows)

    def storing(self, rows: int) -> None:
        self._progress.update(self._task, description=f"storing {self._what}", rows=rows)


@contextmanager
def show_file_progress(what: str, size: int | None) -> Iterator[FileProgress]:
    """Show progress as fits where standard error goes.

    Args:
        what: What the rows are.
        size: Of the file in bytes; None if it is not known.
    """
    if not sys.stderr.isatty():
        yield LogProgress(what, size)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True) as progress, log_above_a_bar():
        yield _Bar(progress, what, size)
