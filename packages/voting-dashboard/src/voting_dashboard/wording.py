"""The text of the page: numbers, durations, names and sentences."""

from collections.abc import Sequence
from datetime import UTC, datetime

from voting_dashboard.view_model import Problem, Results, Snapshot

UNKNOWN = "–"
"""Shown in place of an unknown value."""

_EXCESS = "figures above the number of accepted votes were found"

# For visitors: addresses, topics and ids are in the log.
_REASONS = {
    Problem.KAFKA: "Kafka is unreachable",
    Problem.DATABASE: "the database is unavailable",
    Problem.STALLED: "the count does not respond",
    Problem.ELECTION: "the count and the database are not of one election",
    Problem.UNPROVEN: f"{_EXCESS}, and an incident is recorded",
    Problem.UNPROVEN_NOT_RECORDED: _EXCESS,
    Problem.UNEXPECTED: "an unexpected error occurred",
}
_UNPROVEN = (Problem.UNPROVEN, Problem.UNPROVEN_NOT_RECORDED)


def number(value: int | None) -> str:
    """Return a number with thousands separators."""
    return UNKNOWN if value is None else f"{value:,}"


def percent(share: float | None) -> str:
    """Return a share (0 to 1) in percent."""
    return UNKNOWN if share is None else f"{share:.1%}"


def join_names(names: Sequence[str], *, limit: int = 3) -> str:
    """Return names as a list in a sentence; a long list ends in the number of the others."""
    shown = list(names)
    if len(shown) > limit:
        shown = [*shown[: limit - 1], f"{len(shown) - limit + 1} others"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def age(newest: datetime | None, now: datetime) -> str:
    """Return the time since `newest` in its two largest units; at least 0 s if clocks differ."""
    if newest is None:
        return UNKNOWN
    seconds = max(0, int((now - newest).total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 86_400:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86_400} d {seconds % 86_400 // 3600} h"


def leader(leading: Sequence[str], *, without_votes: str = "No leader yet") -> str:
    """Return the name of the leader, `Tie`, or the text for no votes."""
    if not leading:
        return without_votes
    return leading[0] if len(leading) == 1 else "Tie"


def headline(snapshot: Snapshot) -> str:
    """Return the headline: the leader, or why there is none."""
    results = snapshot.results
    if not (snapshot.caught_up or results.votes):
        return "Results unavailable" if snapshot.problem else "Loading results"
    leading = [candidate.name for candidate in results.leading]
    if not leading:
        return "No votes counted yet"
    if len(leading) == 1:
        return f"{leading[0]} leads"
    return f"{join_names(leading)} are tied"


def summary(results: Results) -> str:
    """Return the sentence below the headline."""
    leading = results.leading
    if not leading:
        waiting = "The first results appear here as soon as votes are counted."
        if results.registered:
            return f"{number(results.registered)} voters are registered. {waiting}"
        return waiting
    share = percent(leading[0].votes / results.votes)
    if len(leading) > 1:
        each = number(leading[0].votes)
        return f"{each} votes each, {share} of the {number(results.votes)} votes counted so far."
    lead = ""
    if len(results.candidates) > 1:
        second = results.candidates[1]
        lead = f", {_votes(leading[0].votes - second.votes)} ahead of {second.name}"
    return f"{share} of the {_votes(results.votes)} counted so far{lead}."


def problems(snapshot: Snapshot) -> list[str]:
    """Return a line for each problem that keeps the page from being up to date."""
    problem, register_problem = snapshot.problem, snapshot.register_problem
    if problem is not None:
        last = "There are no results to show."
        if snapshot.as_of is not None:
            last = f"The results below are as of {_timestamp(snapshot.as_of)}."
        frozen = "frozen" if problem in _UNPROVEN else "not being updated"
        return [f"The results are {frozen}: {_REASONS[problem]}. {last}"]
    lines = []
    if snapshot.behind:
        lines.append(f"Counting is {_votes(snapshot.behind)} behind.")
    if register_problem is not None:
        lines.append(f"The voter register is not being updated: {_REASONS[register_problem]}.")
    return lines


def escape_markdown(text: str) -> str:
    """Escape text for Streamlit, which renders most texts as Markdown."""
    for special in "\\`*_{}[]()#+-!$:<>~|":
        text = text.replace(special, f"\\{special}")
    return text


def _votes(count: int) -> str:
    return f"{number(count)} vote" if count == 1 else f"{number(count)} votes"


def _timestamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%-d %B %Y, %H:%M:%S} UTC"
