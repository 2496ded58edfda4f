"""Showing how far a file is read."""

import pytest
from structlog.testing import capture_logs

from voting_core.service.progress_bar import LogProgress, show_file_progress


def test_a_line_is_logged_every_few_seconds() -> None:
    """Updates in between are passed over; rows and the share of the file are told."""
    seconds = iter([0.0, 4.9, 5.0, 9.9, 10.0])
    with capture_logs() as lines:
        progress = LogProgress("voters", 1000, clock=lambda: next(seconds))
        for rows, read in ((1, 100), (2, 250), (3, 300), (4, 2000)):
            progress.update(rows, read)
        progress.storing(5)
    assert [(line["event"], line["rows"], line.get("percent")) for line in lines] == [
        ("reading", 2, 25),
        ("reading", 4, 100),
        ("storing", 5, None),
    ]


def test_a_pipe_has_no_share() -> None:
    """Of what has no known size only the rows are told."""
    seconds = iter([0.0, 6.0])
    with capture_logs() as lines:
        LogProgress("voters", None, clock=lambda: next(seconds)).update(7, 100)
    assert "percent" not in lines[0]
    assert lines[0]["rows"] == 7


def test_off_a_terminal_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a bar is drawn, elsewhere lines are logged."""
    with show_file_progress("voters", 10) as shown:
        assert isinstance(shown, LogProgress)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with show_file_progress("voters", 10) as shown:
        assert not isinstance(shown, LogProgress)
        shown.update(1, 20)
        shown.storing(1)
