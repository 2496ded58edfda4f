"""Log directories and their pruning."""

import os
from pathlib import Path

from voting_infra.logs import new_log_directory, tail

DEAD = 2**22 + 1  # above the largest process id that Linux gives


def test_old_runs_are_pruned(tmp_path: Path) -> None:
    """The last few finished runs stay, older ones go, and a running one stays in any case."""
    running = tmp_path / f"2000-{os.getpid()}"
    finished = [tmp_path / f"200{i}-{DEAD}" for i in range(1, 6)]
    foreign = tmp_path / "notes"
    for run in (running, foreign, *finished):
        run.mkdir()
        (run / "kafka.log").touch()
    mine = new_log_directory(tmp_path, keep=2)
    assert set(tmp_path.iterdir()) == {mine, running, foreign, *finished[-2:]}


def test_tail(tmp_path: Path) -> None:
    """The tail is the last lines, also of a file larger than what is read, or of none."""
    log = tmp_path / "log"
    log.write_text("".join(f"line {i}\n" for i in range(100_000)))
    assert tail(log, 2) == "line 99998\nline 99999"
    assert tail(tmp_path / "none") == ""
