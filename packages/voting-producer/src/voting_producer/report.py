"""The report: what was sent and what must come out, as JSON."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from voting_core.exceptions import InputError
from voting_producer.tally import Tally

__all__ = ["build_report", "check_report_path", "write_report"]


def build_report(
    tally: Tally, *, skipped: int, started_at: float, finished_at: float
) -> dict[str, Any]:
    """Return the report.

    Args:
        tally: What passed by.
        skipped: People that could not be used.
        started_at: When the first voter was made, in Unix seconds.
        finished_at: When Kafka had acknowledged the last one.
    """
    return {
        "started_at": started_at,
        "finished_at": finished_at,
        "registered": tally.registered,
        "sent": tally.sent,
        "skipped": skipped,
        "votes": tally.votes,
        "candidates": tally.votes_by_name(),
        "locations": dict(sorted(tally.per_location.items())),
    }


def check_report_path(path: Path) -> None:
    """See beforehand that a report can be written there.

    Raises:
        InputError: The folder is missing or not writable, or the path is a folder.
    """
    if path.is_dir():
        raise InputError(f"report {path}: is a folder")
    if not path.parent.is_dir():
        raise InputError(f"report {path}: the folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"report {path}: the folder {path.parent} is not writable")


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Write a report so that no reader ever finds half of one."""
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        json.dump(report, file, ensure_ascii=False, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    # A temporary file is private; a report gets the permissions of any new file.
    umask = os.umask(0)
    os.umask(umask)
    temporary = Path(file.name)
    temporary.chmod(0o666 & ~umask)
    temporary.replace(path)
