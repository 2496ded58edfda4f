"""The heartbeat file."""

import os
from pathlib import Path

import pytest

from voting_core.exceptions import InputError
from voting_core.service.health import Heartbeat


def test_a_beat_updates_the_file(tmp_path: Path) -> None:
    """The first beat creates the file, and each beat updates its modification time."""
    path = tmp_path / "heartbeat"
    heartbeat = Heartbeat(path)
    assert not path.exists()
    heartbeat.beat()
    os.utime(path, (0, 0))
    heartbeat.beat()
    assert path.stat().st_mtime > 0


def test_without_a_file_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A heartbeat without a path writes no file."""
    monkeypatch.chdir(tmp_path)
    Heartbeat(None).beat()
    assert not list(tmp_path.iterdir())


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    """A path that cannot be written is refused at the start, not during the count."""
    with pytest.raises(InputError, match="there is no directory"):
        Heartbeat(tmp_path / "missing" / "heartbeat")
