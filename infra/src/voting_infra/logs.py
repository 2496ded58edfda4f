"""Where log files live, and their last lines for error messages."""

import logging
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import platformdirs
import psutil

_log = logging.getLogger(__name__)

_TAIL_BYTES = 64 * 1024


def tail(path: Path, lines: int = 20) -> str:
    """Return the last lines of a log, reading at most its last 64 KiB.

    Args:
        path: The log. One that does not exist has no lines.
        lines: How many lines at most.
    """
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            text = log.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def cache_directory() -> Path:
    """Return the directory of this package in the user's cache."""
    return platformdirs.user_cache_path("voting-infra", appauthor=False)


def new_log_directory(runs: Path | None = None, *, keep: int = 5) -> Path:
    """Make a log directory for one run and prune those of older runs.

    Args:
        runs: The directory of all runs; by default in the user's cache.
        keep: How many finished runs stay beside the new one; a run whose process is alive stays.

    Raises:
        OSError: It cannot be made.
    """
    runs = runs or cache_directory() / "logs"
    runs.mkdir(parents=True, exist_ok=True)
    finished = sorted(run for run in runs.iterdir() if _is_finished(run))
    for run in finished[: max(0, len(finished) - keep)]:
        try:
            shutil.rmtree(run)
        except OSError as error:
            # Another run may prune the same directory at the same time.
            _log.info("old logs %s stay: %s", run, error)
    mine = runs / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{os.getpid()}"
    mine.mkdir()
    return mine


def _is_finished(run: Path) -> bool:
    _, dash, pid = run.name.rpartition("-")
    return bool(dash) and pid.isdecimal() and run.is_dir() and not psutil.pid_exists(int(pid))
