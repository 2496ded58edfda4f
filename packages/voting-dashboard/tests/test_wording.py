"""Tests of the text of the page."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from voting_dashboard.view_model import (
    Candidate,
    Problem,
    Results,
    Snapshot,
    VoterRegister,
    VoteTotals,
    election_results,
)
from voting_dashboard.wording import (
    age,
    escape_markdown,
    headline,
    join_names,
    leader,
    number,
    percent,
    problems,
    summary,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def caught_up(results: Results) -> Snapshot:
    """Return a snapshot of topics that are read to their ends."""
    return Snapshot(results, caught_up=True)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-5, "0 s"), (3.9, "3 s"), (61, "1 min 1 s"), (3725, "1 h 2 min"), (180_000, "2 d 2 h")],
)
def test_age(seconds: float, expected: str) -> None:
    """An age has its two largest units, and is never negative."""
    assert age(NOW - timedelta(seconds=seconds), NOW) == expected


def test_unknown() -> None:
    """An unknown value is a dash; zero is not."""
    assert {number(None), percent(None), age(None, NOW)} == {"–"}
    assert (number(0), percent(0.0), number(1234567), percent(0.5126)) == (
        "0",
        "0.0%",
        "1,234,567",
        "51.3%",
    )


def test_join_names() -> None:
    """A list of names reads as a sentence, a long one ends in a number."""
    assert join_names(["A"]) == "A"
    assert join_names(["A", "B"]) == "A and B"
    assert join_names(["A", "B", "C"]) == "A, B and C"
    assert join_names(["A", "B", "C", "D"]) == "A, B and 2 others"


def test_leader() -> None:
    """A leader is named; a tie and no votes have different texts."""
    assert [leader(["A"]), leader(["A", "B"]), leader([])] == ["A", "Tie", "No leader yet"]


def test_headline_of_a_lead(totals: VoteTotals, register: VoterRegister) -> None:
    """The headline names the leader, the summary its share and its lead."""
    results = election_results(totals, register)
    assert headline(caught_up(results)) == "Ben leads"
    assert summary(results) == "50.0% of the 60 votes counted so far, 10 votes ahead of Ada."


def test_headline_of_a_tie() -> None:
    """The headline names all candidates in a tie."""
    results = Results((Candidate("a", "A", "", 4), Candidate("b", "B", "", 4)))
    assert headline(caught_up(results)) == "A and B are tied"
    assert summary(results) == "4 votes each, 50.0% of the 8 votes counted so far."


def test_headline_before_the_first_vote(register: VoterRegister) -> None:
    """Without votes no candidate is named."""
    results = election_results(VoteTotals(), register)
    assert headline(caught_up(results)) == "No votes counted yet"
    assert "120 voters are registered" in summary(results)


def test_headline_before_the_topics_are_read() -> None:
    """Until the topics are read no number is taken for the result."""
    assert headline(Snapshot()) == "Loading results"
    assert headline(Snapshot(problem=Problem.KAFKA)) == "Results unavailable"


def test_one_vote() -> None:
    """A single vote is not a plural."""
    assert summary(Results((Candidate("a", "A", "", 1),))) == "100.0% of the 1 vote counted so far."


def test_problems() -> None:
    """A problem is one line, with the time at which the shown results were proven."""
    assert problems(Snapshot(newest=NOW)) == []
    (line,) = problems(Snapshot(problem=Problem.KAFKA, as_of=NOW))
    assert line == (
        "The results are not being updated: Kafka is unreachable. "
        "The results below are as of 22 November 2026, 12:00:00 UTC."
    )
    assert "no results to show" in problems(Snapshot(problem=Problem.KAFKA))[0]


def test_a_problem_of_the_register() -> None:
    """It is named while the results are updated; otherwise nothing below is up to date anyway."""
    register = Snapshot(register_problem=Problem.DATABASE, as_of=NOW)
    assert problems(register) == [
        "The voter register is not being updated: the database is unavailable."
    ]
    assert len(problems(attrs.evolve(register, problem=Problem.DATABASE))) == 1


def test_unproven_results_are_frozen() -> None:
    """The page says that figures above the accepted votes were found, and what it shows."""
    frozen = Snapshot(problem=Problem.UNPROVEN, as_of=NOW)
    (line,) = problems(frozen)
    assert line == (
        "The results are frozen: figures above the number of accepted votes were found, and an "
        "incident is recorded. The results below are as of 22 November 2026, 12:00:00 UTC."
    )
    unrecorded = attrs.evolve(frozen, problem=Problem.UNPROVEN_NOT_RECORDED)
    assert "incident" not in problems(unrecorded)[0]


@pytest.mark.parametrize("problem", list(Problem))
def test_every_problem_has_a_text(problem: Problem) -> None:
    """Each problem has a line for the results and one for the register."""
    assert problems(Snapshot(problem=problem))
    assert problems(Snapshot(register_problem=problem))


def test_behind() -> None:
    """A count that lags behind is named, unless a problem explains it."""
    assert problems(Snapshot(behind=1200)) == ["Counting is 1,200 votes behind."]
    assert len(problems(Snapshot(behind=1, problem=Problem.KAFKA))) == 1


def test_escape_markdown() -> None:
    """Characters with a meaning in Markdown are escaped, others are not."""
    assert escape_markdown("*Ada* & $x$") == "\\*Ada\\* & \\$x\\$"
