"""Tests of the words."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from voting_dashboard.snapshot import Candidate, Results, Snapshot
from voting_dashboard.tally import Count, Register, results_of
from voting_dashboard.wording import (
    age,
    headline,
    leader,
    names,
    number,
    percent,
    problems,
    summary,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-5, "0 s"), (3.9, "3 s"), (61, "1 min 1 s"), (3725, "1 h 2 min"), (180_000, "2 d 2 h")],
)
def test_age(seconds: float, expected: str) -> None:
    """An age is told in the two units that matter, and never negative."""
    assert age(NOW - timedelta(seconds=seconds), NOW) == expected


def test_unknown() -> None:
    """What is unknown is a dash, which zero is not."""
    assert {number(None), percent(None), age(None, NOW)} == {"–"}
    assert (number(0), percent(0.0), number(1234567), percent(0.5126)) == (
        "0",
        "0.0%",
        "1,234,567",
        "51.3%",
    )


def test_names() -> None:
    """A list of names reads as a sentence, a long one ends in a number."""
    assert names(["A"]) == "A"
    assert names(["A", "B"]) == "A and B"
    assert names(["A", "B", "C"]) == "A, B and C"
    assert names(["A", "B", "C", "D"]) == "A, B and 2 others"


def test_leader() -> None:
    """A leader is named, a tie and nobody are told apart."""
    assert [leader(["A"]), leader(["A", "B"]), leader([])] == ["A", "Tie", "Nobody yet"]


def test_headline_of_a_lead(count: Count, register: Register) -> None:
    """With one ahead the headline names it and the summary its share and its lead."""
    results = results_of(count, register)
    assert headline(results) == "Ben leads"
    assert summary(results) == "50.0% of the 60 votes counted so far, 10 votes ahead of Ada."


def test_headline_of_a_tie() -> None:
    """A tie is told as one."""
    results = Results((Candidate("a", "A", "", 4), Candidate("b", "B", "", 4)))
    assert headline(results) == "A and B are tied"
    assert summary(results) == "4 votes each, 50.0% of the 8 votes counted so far."


def test_headline_before_the_first_vote(register: Register) -> None:
    """While nothing is counted the headline says so, and nobody is named."""
    results = results_of(Count(), register)
    assert headline(results) == "No votes counted yet"
    assert "120 voters are registered" in summary(results)


def test_one_vote() -> None:
    """A single vote is no plural."""
    assert summary(Results((Candidate("a", "A", "", 1),))) == "100.0% of the 1 vote counted so far."


def test_problems() -> None:
    """Each problem is one line, which says from when the figures are."""
    good = Snapshot(newest=NOW)
    assert problems(good) == []
    both = attrs.evolve(good, kafka_problem="no broker at k:1", database_problem="refused")
    kafka, database = problems(both)
    assert kafka == (
        "The count is not being updated: no broker at k:1. "
        "The count below is as of 22 November 2026, 12:00:00 UTC."
    )
    assert database == "The register is not being updated: refused."
    assert "no count to show" in problems(Snapshot(kafka_problem="x"))[0]
