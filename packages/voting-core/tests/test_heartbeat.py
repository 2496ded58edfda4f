"""The heartbeat file."""

import os
from pathlib import Path

import pytest

from voting_core.exceptions import InputError
from voting_core.service.health import Heartbeat


def test_a_beat_renews_the_file(tmp_path: Path) -> None:
    """There is no file before the first beat, and each beat makes it new again."""
    path = tmp_path / "heartbeat"
    heartbeat = Heartbeat(path)
    assert not path.exists()
    heartbeat.beat()
    os.utime(path, (0, 0))
    heartbeat.beat()
    assert path.stat().st_mtime > 0


def test_without_a_file_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No path means no heartbeat."""
    monkeypatch.chdir(tmp_path)
    Heartbeat(None).beat()
    assert not list(tmp_path.iterdir())


def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    """A path that cannot be written is refused at once, not in the middle of a count."""
    with pytest.raises(InputError, match="there is no directory"):
        Heartbeat(tmp_path / "missing" / "heartbeat")
