"""Counting the votes anew as a place holds them: rows of a table, or aggregates."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypeVar

import attrs
import psycopg

from voting_core import topics
from voting_core.aggregates import AggregateView
from voting_core.operator.staging import NamedCandidate
from voting_core.rules import age_band

__all__ = [
    "Count",
    "count_rejections",
    "count_view",
    "count_votes",
    "names_of",
]

K = TypeVar("K")


def _without_zeros(counter: Mapping[K, int]) -> dict[K, int]:
    return {key: votes for key, votes in counter.items() if votes}


@attrs.frozen
class Count:
    """The votes as one place holds them; candidates by id, without entries of zero votes.

    Attributes:
        names: Name of each candidate by id, as that place has it.
        duplicates: Votes beyond the first of a voter.
        demographics: Votes by dimension (`gender`, `age_band`) and value.
        minutes: Votes by minute (UTC, as 2024-11-05T17:03:00Z) and candidate.
    """

    votes: int
    candidates: Mapping[str, int]
    locations: Mapping[str, int]
    candidates_by_location: Mapping[tuple[str, str], int]
    names: Mapping[str, str]
    duplicates: int = 0
    demographics: Mapping[tuple[str, str], int] = attrs.field(factory=dict)
    minutes: Mapping[tuple[str, str], int] = attrs.field(factory=dict)

    def by_name(self) -> dict[str, int]:
        """Return the votes of each candidate by name."""
        totals: Counter[str] = Counter()
        for candidate_id, votes in self.candidates.items():
            totals[self.names[candidate_id]] += votes
        return dict(totals)

    def plus(self, other: "Count") -> "Count":
        """Return the votes of both."""
        return self._combined(other, 1)

    def minus(self, part: "Count") -> "Count":
        """Return the votes without those of a part of them."""
        return self._combined(part, -1)

    def _combined(self, other: "Count", sign: int) -> "Count":
        def combined(one: Mapping[K, int], two: Mapping[K, int]) -> dict[K, int]:
            keys = one.keys() | two.keys()
            return _without_zeros({key: one.get(key, 0) + sign * two.get(key, 0) for key in keys})

        return attrs.evolve(
            self,
            votes=self.votes + sign * other.votes,
            candidates=combined(self.candidates, other.candidates),
            locations=combined(self.locations, other.locations),
            candidates_by_location=combined(
                self.candidates_by_location, other.candidates_by_location
            ),
            demographics=combined(self.demographics, other.demographics),
            minutes=combined(self.minutes, other.minutes),
        )


def count_votes(
    conn: psycopg.Connection, source: str, names: Mapping[str, str], duplicates: int = 0
) -> Count:
    """Count rows that hold a vote each, in one pass over them.

    Args:
        conn: The connection.
        source: What stands after FROM and yields candidate_id, state, gender, age and
            voting_time.
        names: Name of each candidate by id.
        duplicates: Votes beyond the first of a voter among them.
    """
    rows = conn.execute(
        "SELECT GROUPING(state, gender, age, minute), candidate_id, state, gender, age, minute,"
        " count(*) FROM (SELECT candidate_id, state, gender, age,"
        f" date_trunc('minute', voting_time AT TIME ZONE 'UTC') AS minute FROM {source}) AS vote"
        " GROUP BY GROUPING SETS ((state, candidate_id), (gender), (age), (minute, candidate_id))"
    )
    by_location: Counter[tuple[str, str]] = Counter()
    demographics: Counter[tuple[str, str]] = Counter()
    minutes: Counter[tuple[str, str]] = Counter()
    for grouping, candidate_id, state, gender, age, minute, votes in rows:
        if grouping == 0b0111:
            by_location[state, candidate_id] += votes
        elif grouping == 0b1011:
            demographics["gender", gender] += votes
        elif grouping == 0b1101:
            demographics["age_band", age_band(age)] += votes
        else:
            minutes[_minute(minute), candidate_id] += votes
    candidates: Counter[str] = Counter()
    locations: Counter[str] = Counter()
    for (state, candidate_id), votes in by_location.items():
        candidates[candidate_id] += votes
        locations[state] += votes
    return Count(
        votes=by_location.total(),
        candidates=dict(candidates),
        locations=dict(locations),
        candidates_by_location=dict(by_location),
        names=names,
        duplicates=duplicates,
        demographics=dict(demographics),
        minutes=dict(minutes),
    )


def _minute(moment: datetime) -> str:
    return f"{moment.isoformat()[:16]}:00Z"


def count_rejections(conn: psycopg.Connection) -> dict[str, int]:
    """Count the table `rejections` by reason."""
    rows = conn.execute("SELECT reason, count(*) FROM rejections GROUP BY reason ORDER BY reason")
    return dict(rows.fetchall())


def names_of(candidates: Iterable[NamedCandidate]) -> dict[str, str]:
    """Return the name of each candidate by id."""
    return {candidate_id: name for candidate_id, name, _ in candidates}


def count_view(view: AggregateView) -> Count:
    """Return the totals of aggregate topics that have been read.

    Raises:
        KeyError: A record lacks a field that its topic's records have.
    """

    def totals(topic: topics.TopicSpec, *columns: str) -> Counter[tuple[str, ...]]:
        found: Counter[tuple[str, ...]] = Counter()
        for row in view.rows(topic.name):
            found[tuple(row[column] for column in columns)] += row["total_votes"]
        return found

    def single(found: Counter[tuple[str, ...]]) -> dict[str, int]:
        return _without_zeros({key: votes for (key,), votes in found.items()})

    def paired(found: Counter[tuple[str, ...]]) -> dict[tuple[str, str], int]:
        return _without_zeros({(one, two): votes for (one, two), votes in found.items()})

    per_candidate = totals(topics.VOTES_PER_CANDIDATE, "candidate_id")
    return Count(
        votes=per_candidate.total(),
        candidates=single(per_candidate),
        locations=single(totals(topics.TURNOUT_BY_LOCATION, "state")),
        candidates_by_location=paired(
            totals(topics.VOTES_PER_CANDIDATE_BY_LOCATION, "state", "candidate_id")
        ),
        names={
            row["candidate_id"]: row["candidate_name"]
            for row in view.rows(topics.VOTES_PER_CANDIDATE.name)
        },
        demographics=paired(totals(topics.TURNOUT_BY_DEMOGRAPHIC, "dimension", "value")),
        minutes=paired(totals(topics.VOTES_OVER_TIME, "minute", "candidate_id")),
    )
