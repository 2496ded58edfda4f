"""The progress bar and its log lines."""

import pytest
from structlog.testing import capture_logs

from voting_core.service.progress_bar import LogProgress, show_progress


def test_a_line_is_logged_every_few_seconds() -> None:
    """A line has the number of items, their rate and the percentage; updates between have none."""
    seconds = iter([0.0, 4.9, 5.0, 9.9, 10.0])
    with capture_logs() as lines:
        progress = LogProgress("reading", "voters", 1000, clock=lambda: next(seconds))
        for rows, read in ((1, 100), (20, 250), (30, 300), (40, 2000)):
            progress.update(rows, position=read)
        progress.finish("storing", 50)
    assert [(at["event"], at["voters"], at.get("percent"), at.get("rate")) for at in lines] == [
        ("reading", 20, 25, 4.0),
        ("reading", 40, 100, 4.0),
        ("storing", 50, None, None),
    ]


def test_without_a_total_there_is_no_percentage() -> None:
    """For a pipe, whose size is unknown, only the number of items is logged."""
    seconds = iter([0.0, 6.0])
    with capture_logs() as lines:
        progress = LogProgress("reading", "voters", None, clock=lambda: next(seconds))
        progress.update(7, position=100, waiting=3)
    assert "percent" not in lines[0]
    assert (lines[0]["voters"], lines[0]["waiting"]) == (7, 3)


def test_without_a_terminal_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a bar is drawn, elsewhere lines are logged."""
    with show_progress("reading", "voters", 10) as shown:
        assert isinstance(shown, LogProgress)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with show_progress("reading", "voters", 10) as shown:
        assert not isinstance(shown, LogProgress)
        shown.update(1, position=20)
        shown.finish("storing", 1)
