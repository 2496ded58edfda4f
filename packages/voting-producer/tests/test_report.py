"""The report."""

import json
from datetime import date
from pathlib import Path

import pytest

from voting_core.exceptions import InputError
from voting_core.models import Address, Candidate, Voter
from voting_producer.report import build_report, check_report_path, write_report
from voting_producer.sources import Registration
from voting_producer.tally import Tally


def test_report_says_what_must_come_out(tmp_path: Path) -> None:
    """The file holds times, counts and totals by name and state, without entries of zero."""
    tally = Tally({"a": Candidate("a", "Änn"), "b": Candidate("b", "Bob")})
    voter = Voter("v", "Somebody", date(1990, 1, 1), "female", Address("Ohio"), choice="a")
    tally.count([Registration(voter, True), Registration(voter, False)], date(2026, 11, 3))
    path = tmp_path / "report.json"
    path.write_text("an older one")
    write_report(path, build_report(tally, skipped=3, started_at=1.5, finished_at=2.5))
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "started_at": 1.5,
        "finished_at": 2.5,
        "registered": 2,
        "sent": 1,
        "skipped": 3,
        "votes": 1,
        "candidates": {"Änn": 1},
        "locations": {"Ohio": 1},
    }
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_place_is_checked_beforehand(tmp_path: Path) -> None:
    """A report that could not be written is refused before the election, not after it."""
    check_report_path(tmp_path / "new.json")
    with pytest.raises(InputError, match="does not exist"):
        check_report_path(tmp_path / "nowhere" / "report.json")
    with pytest.raises(InputError, match="is a folder"):
        check_report_path(tmp_path)
