"""Votes counted by candidate, location, demographic and minute, from a table or from aggregates."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import attrs
import psycopg

from voting_core import topics
from voting_core.aggregates import AggregateView
from voting_core.rules import age_band

NamedCandidate = tuple[str, str, str]
"""A candidate's id, name and party."""

GROUPINGS: Mapping[str, str] = {
    "candidate": "candidates",
    "location": "locations",
    "location and candidate": "candidates_by_location",
    "demographic": "demographics",
    "minute and candidate": "minutes",
}
"""The attribute of `VoteCounts` for each grouping of the votes."""

K = TypeVar("K")


def _without_zeros(counts: Mapping[K, int]) -> dict[K, int]:
    return {key: votes for key, votes in counts.items() if votes}


@attrs.frozen
class VoteCounts:
    """The votes in one data store; candidates by id, without entries of zero votes.

    Attributes:
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

    def plus(self, other: "VoteCounts") -> "VoteCounts":
        """Return the sum of the counts."""
        return self._combined(other, 1)

    def minus(self, part: "VoteCounts") -> "VoteCounts":
        """Return the counts without a part of them."""
        return self._combined(part, -1)

    def _combined(self, other: "VoteCounts", sign: int) -> "VoteCounts":
        def combined(attribute: str) -> dict[Any, int]:
            one, two = getattr(self, attribute), getattr(other, attribute)
            keys = one.keys() | two.keys()
            return _without_zeros({key: one.get(key, 0) + sign * two.get(key, 0) for key in keys})

        changes: dict[str, Any] = {name: combined(name) for name in GROUPINGS.values()}
        return attrs.evolve(self, votes=self.votes + sign * other.votes, **changes)


def count_votes(
    conn: psycopg.Connection, source: str, names: Mapping[str, str], duplicates: int = 0
) -> VoteCounts:
    """Count rows of one vote each, in a single pass.

    `source` is a FROM operand with candidate_id, state, gender, age and voting_time.
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
            minutes[_iso_minute(minute), candidate_id] += votes
    candidates: Counter[str] = Counter()
    locations: Counter[str] = Counter()
    for (state, candidate_id), votes in by_location.items():
        candidates[candidate_id] += votes
        locations[state] += votes
    return VoteCounts(
        votes=by_location.total(),
        candidates=dict(candidates),
        locations=dict(locations),
        candidates_by_location=dict(by_location),
        names=names,
        duplicates=duplicates,
        demographics=dict(demographics),
        minutes=dict(minutes),
    )


def _iso_minute(time: datetime) -> str:
    return f"{time.isoformat()[:16]}:00Z"


def count_aggregates(view: AggregateView) -> VoteCounts:
    """Return the totals of the aggregate topics."""

    def totals(topic: topics.TopicSpec, *columns: str) -> Counter[Any]:
        counts: Counter[Any] = Counter()
        for row in view.rows(topic.name):
            key = tuple(row[column] for column in columns)
            counts[key if len(key) > 1 else key[0]] += row["total_votes"]
        return counts

    per_candidate = totals(topics.VOTES_PER_CANDIDATE, "candidate_id")
    by_location = totals(topics.VOTES_PER_CANDIDATE_BY_LOCATION, "state", "candidate_id")
    return VoteCounts(
        votes=per_candidate.total(),
        candidates=_without_zeros(per_candidate),
        locations=_without_zeros(totals(topics.TURNOUT_BY_LOCATION, "state")),
        candidates_by_location=_without_zeros(by_location),
        names={
            row["candidate_id"]: row["candidate_name"]
            for row in view.rows(topics.VOTES_PER_CANDIDATE.name)
        },
        demographics=_without_zeros(totals(topics.TURNOUT_BY_DEMOGRAPHIC, "dimension", "value")),
        minutes=_without_zeros(totals(topics.VOTES_OVER_TIME, "minute", "candidate_id")),
    )


def count_rejections(conn: psycopg.Connection, source: str = "rejections") -> dict[str, int]:
    """Return the number of rejections by reason, from the table or another FROM operand."""
    rows = conn.execute(
        f"SELECT reason, count(*) FROM {source} GROUP BY reason ORDER BY reason".encode()
    )
    return dict(rows.fetchall())


def select_number(
    conn: psycopg.Connection,
    source: str,
    number: str = "count(*)",
    values: Mapping[str, Any] | None = None,
) -> int:
    """Return an aggregate over a FROM operand; by default, the number of rows."""
    row = conn.execute(f"SELECT {number} FROM {source}".encode(), values).fetchone()
    return int(row[0]) if row else 0


def stored_votes(conn: psycopg.Connection) -> int:
    """Return the number of accepted votes in the database."""
    return select_number(conn, "votes")


def candidate_names(candidates: Iterable[NamedCandidate]) -> dict[str, str]:
    """Return each candidate's name by id."""
    return {candidate_id: name for candidate_id, name, _ in candidates}
