"""The report."""

from datetime import date

from voting_core.models import Address, Candidate, Voter
from voting_producer.expected_totals import ExpectedTotals
from voting_producer.pipeline import Times
from voting_producer.report import build_report
from voting_producer.sources import Registration


def test_the_report_has_the_expected_totals() -> None:
    """It holds times, numbers, and totals by name and state without entries of zero."""
    totals = ExpectedTotals({"a": Candidate("a", "Änn"), "b": Candidate("b", "Bob")})
    voter = Voter("v", "Voter", date(1990, 1, 1), "female", Address("Ohio"), choice="a")
    totals.add([Registration(voter, True), Registration(voter, False)], date(2026, 11, 3))
    assert build_report(totals, Times(1.5, 2.5), skipped=3) == {
        "started_at": 1.5,
        "finished_at": 2.5,
        "registered": 2,
        "sent": 1,
        "skipped": 3,
        "votes": 1,
        "candidates": {"Änn": 1},
        "locations": {"Ohio": 1},
    }
