"""Atomic file writes."""

import json
from pathlib import Path

import pytest

from voting_core.exceptions import InputError
from voting_core.service.files import check_writable, write_json


def test_json_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    """The new file is complete, has the usual permissions, and no temporary file remains."""
    path, plain = tmp_path / "report.json", tmp_path / "plain"
    path.write_text("an older one")
    plain.touch()
    write_json(path, {"candidates": {"Änn": 1}})
    assert json.loads(path.read_text(encoding="utf-8")) == {"candidates": {"Änn": 1}}
    assert "Änn" in path.read_text(encoding="utf-8")
    assert path.stat().st_mode == plain.stat().st_mode
    assert sorted(file.name for file in tmp_path.iterdir()) == ["plain", "report.json"]


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    """A value that cannot be written as JSON changes nothing."""
    path = tmp_path / "report.json"
    path.write_text("an older one")
    with pytest.raises(TypeError):
        write_json(path, {"time": object()})
    assert [file.read_text() for file in tmp_path.iterdir()] == ["an older one"]


def test_a_file_that_cannot_be_written_is_refused_beforehand(tmp_path: Path) -> None:
    """A missing folder, or a folder in the file's place, is an error with the file's name."""
    check_writable(tmp_path / "new.json", "report")
    with pytest.raises(InputError, match=r"report .*nowhere.* does not exist"):
        check_writable(tmp_path / "nowhere" / "report.json", "report")
    with pytest.raises(InputError, match="is a folder"):
        check_writable(tmp_path, "report")
