"""How the page puts numbers and states into words."""

from collections.abc import Sequence
from datetime import UTC, datetime

from voting_dashboard.snapshot import Results, Snapshot

__all__ = ["age", "headline", "leader", "names", "number", "percent", "problems", "summary"]

UNKNOWN = "–"


def number(value: int | None) -> str:
    """Return a number with its thousands set apart."""
    return UNKNOWN if value is None else f"{value:,}"


def percent(share: float | None) -> str:
    """Return a share (0 to 1) in percent."""
    return UNKNOWN if share is None else f"{share:.1%}"


def names(found: Sequence[str], *, most: int = 3) -> str:
    """Return names as a list in a sentence, the later ones of a long list as a number."""
    shown = list(found)
    if len(shown) > most:
        shown = [*shown[: most - 1], f"{len(shown) - most + 1} others"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def age(newest: datetime | None, now: datetime) -> str:
    """Return how long ago something was; clocks that disagree give 0 s."""
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


def leader(leading: Sequence[str], *, nobody: str = "Nobody yet") -> str:
    """Return who leads in a word or two: a name, that there is a tie, or nobody."""
    if not leading:
        return nobody
    return leading[0] if len(leading) == 1 else "Tie"


def headline(results: Results) -> str:
    """Return what there is to say first."""
    leading = [candidate.name for candidate in results.leading]
    if not leading:
        return "No votes counted yet"
    if len(leading) == 1:
        return f"{leading[0]} leads"
    return f"{names(leading)} are tied"


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
    ahead = ""
    if len(results.candidates) > 1:
        second = results.candidates[1]
        ahead = f", {_votes(leading[0].votes - second.votes)} ahead of {second.name}"
    return f"{share} of the {_votes(results.votes)} counted so far{ahead}."


def problems(snapshot: Snapshot) -> list[str]:
    """Return a line for each thing that keeps the page from being up to date."""
    lines = []
    if snapshot.kafka_problem is not None:
        kept = (
            f"The count below is as of {_moment(snapshot.newest)}."
            if snapshot.newest is not None
            else "There is no count to show."
        )
        lines.append(f"The count is not being updated: {snapshot.kafka_problem}. {kept}")
    if snapshot.database_problem is not None:
        lines.append(f"The register is not being updated: {snapshot.database_problem}.")
    return lines


def _votes(count: int) -> str:
    return f"{number(count)} vote" if count == 1 else f"{number(count)} votes"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%-d %B %Y, %H:%M:%S} UTC"
