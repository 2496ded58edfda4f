"""Counting the votes anew in each place that holds them: tables, votes_topic, aggregates."""

from collections import Counter
from collections.abc import Iterator, Mapping

import attrs
import psycopg
from confluent_kafka.admin import AdminClient

from voting_core import topics
from voting_core.aggregates import AggregateView
from voting_core.kafka import read_to_end, topic_ids
from voting_core.settings import KafkaSettings
from voting_core.wire import decode_object

__all__ = ["Count", "count_aggregates", "count_postgres", "count_rejections", "count_votes_topic"]


@attrs.frozen
class Count:
    """The votes as one place holds them; candidates by id, without entries of zero votes.

    Attributes:
        duplicates: Votes beyond the first of a voter.
        names: Name of each candidate by id, as that place has it.
    """

    votes: int
    candidates: Mapping[str, int]
    locations: Mapping[str, int]
    candidates_by_location: Mapping[tuple[str, str], int]
    names: Mapping[str, str]
    duplicates: int = 0

    def by_name(self) -> dict[str, int]:
        """Return the votes of each candidate by name."""
        totals: Counter[str] = Counter()
        for candidate_id, votes in self.candidates.items():
            totals[self.names[candidate_id]] += votes
        return dict(totals)


def count_postgres(conn: psycopg.Connection) -> Count:
    """Count the table `votes`."""
    rows = conn.execute(
        "SELECT candidate_id, candidate_name, state, count(*) FROM votes"
        " JOIN candidates USING (candidate_id) GROUP BY candidate_id, candidate_name, state"
    ).fetchall()
    candidates: Counter[str] = Counter()
    locations: Counter[str] = Counter()
    for candidate_id, _, state, votes in rows:
        candidates[candidate_id] += votes
        locations[state] += votes
    return Count(
        votes=candidates.total(),
        candidates=dict(candidates),
        locations=dict(locations),
        candidates_by_location={(state, cid): votes for cid, _, state, votes in rows},
        names={candidate_id: name for candidate_id, name, _, _ in rows},
    )


def count_rejections(conn: psycopg.Connection) -> dict[str, int]:
    """Count the table `rejections` by reason."""
    rows = conn.execute("SELECT reason, count(*) FROM rejections GROUP BY reason ORDER BY reason")
    return dict(rows.fetchall())


def count_votes_topic(
    settings: KafkaSettings, admin: AdminClient, conn: psycopg.Connection
) -> Count:
    """Read `votes_topic` from the beginning and count its records.

    Voters are told apart in a temporary table, so memory does not grow with the votes.
    """
    by_both: Counter[tuple[str, str]] = Counter()
    names: dict[str, str] = {}

    def voter_ids() -> Iterator[str]:
        for message in read_to_end(settings, admin, topics.VOTES.name):
            vote = decode_object(message.value())
            by_both[vote["state"], vote["candidate_id"]] += 1
            names[vote["candidate_id"]] = vote["candidate_name"]
            yield vote["voter_id"]

    with conn.transaction(), conn.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE counted (voter_id text) ON COMMIT DROP")
        with cursor.copy("COPY counted FROM STDIN") as copy:
            for voter_id in voter_ids():
                copy.write_row((voter_id,))
        cursor.execute("SELECT count(*) - count(DISTINCT voter_id) FROM counted")
        row = cursor.fetchone()
    candidates: Counter[str] = Counter()
    locations: Counter[str] = Counter()
    for (state, candidate_id), votes in by_both.items():
        candidates[candidate_id] += votes
        locations[state] += votes
    return Count(
        votes=by_both.total(),
        candidates=dict(candidates),
        locations=dict(locations),
        candidates_by_location=dict(by_both),
        names=names,
        duplicates=int(row[0]) if row else 0,
    )


def count_aggregates(settings: KafkaSettings, admin: AdminClient) -> Count:
    """Read the aggregate topics' totals for the present `votes_topic`."""
    view = AggregateView(topic_ids(admin, [topics.VOTES])[topics.VOTES.name])
    for topic in (
        topics.VOTES_PER_CANDIDATE,
        topics.TURNOUT_BY_LOCATION,
        topics.VOTES_PER_CANDIDATE_BY_LOCATION,
    ):
        for message in read_to_end(settings, admin, topic.name):
            view.apply(topic.name, message.key() or b"", message.value() or b"")
    per_candidate = view.rows(topics.VOTES_PER_CANDIDATE.name)
    return Count(
        votes=sum(row["total_votes"] for row in per_candidate),
        candidates={row["candidate_id"]: row["total_votes"] for row in per_candidate},
        locations={
            row["state"]: row["total_votes"] for row in view.rows(topics.TURNOUT_BY_LOCATION.name)
        },
        candidates_by_location={
            (row["state"], row["candidate_id"]): row["total_votes"]
            for row in view.rows(topics.VOTES_PER_CANDIDATE_BY_LOCATION.name)
        },
        names={row["candidate_id"]: row["candidate_name"] for row in per_candidate},
    )
