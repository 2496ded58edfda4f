"""The content of an election's topics and tables."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import date, datetime
from typing import Any

import attrs
import psycopg
from confluent_kafka import Message

from testkit.checker.kafka_topics import Position, position_of, read_messages

__all__ = [
    "AGGREGATES",
    "Evidence",
    "Key",
    "PublishedVote",
    "RegisteredVoter",
    "Rejection",
    "SentBallot",
    "StoredVote",
    "Total",
    "gather_evidence",
    "read_voters",
    "total_by_key",
]

AGGREGATES: Mapping[str, Sequence[str]] = {
    "aggregated_votes_per_candidate": ("candidate_id",),
    "aggregated_turnout_by_location": ("state",),
    "aggregated_votes_per_candidate_by_location": ("state", "candidate_id"),
    "aggregated_turnout_by_demographic": ("dimension", "value"),
    "aggregated_votes_over_time": ("minute", "candidate_id"),
    "aggregated_progress": ("partition",),
}
"""The aggregate topics, each with the fields of its keys."""

Key = tuple[str, ...]
"""The values of an aggregate's key fields."""

Rejection = tuple[Position, str]
"""The position of the rejected record on voters_topic, and the reason."""


@attrs.frozen
class SentBallot:
    """A record of voters_topic.

    Attributes:
        time: Milliseconds since 1970.
        voter_id: None, like the other two, where the record has no such field.
    """

    position: Position
    time: int
    voter_id: Any = None
    choice: Any = None
    state: Any = None


@attrs.frozen
class RegisteredVoter:
    """A row of the table `voters`."""

    date_of_birth: date
    gender: str
    state: str


@attrs.frozen
class StoredVote:
    """A row of the table `votes`; the time is in UTC, without a zone."""

    voter_id: str
    candidate_id: str
    time: datetime
    state: str
    gender: str
    age: int
    position: Position


@attrs.frozen
class PublishedVote:
    """A record of votes_topic; the time as it is written there."""

    voter_id: str
    candidate_id: str
    time: str
    state: str
    gender: str
    age: int
    partition: int


@attrs.frozen
class Total:
    """The last and the highest total of one key of an aggregate topic."""

    last: int
    highest: int


@attrs.frozen(kw_only=True)
class Evidence:
    """What every data store of an election holds.

    Attributes:
        sent: Records of voters_topic.
        candidates: Names by candidate_id.
        voters: The register by voter_id.
        votes: Rows of the table `votes`.
        rejections: Rows of the table `rejections`.
        published_votes: Records of votes_topic.
        published_rejections: Records of rejected_votes_topic.
        totals: The totals of each aggregate topic.
        counted_topic_ids: The ids of votes_topic that the aggregates name.
    """

    sent: Sequence[SentBallot]
    candidates: Mapping[str, str]
    voters: Mapping[str, RegisteredVoter]
    votes: Sequence[StoredVote]
    rejections: Sequence[Rejection]
    published_votes: Sequence[PublishedVote]
    published_rejections: Sequence[Rejection]
    totals: Mapping[str, Mapping[Key, Total]]
    counted_topic_ids: Set[str]

    @property
    def stored_choices(self) -> dict[str, str]:
        """The candidate_id of each stored vote by voter_id."""
        return {vote.voter_id: vote.candidate_id for vote in self.votes}

    @property
    def rejected(self) -> dict[str, int]:
        """The number of rows of the table `rejections` by reason."""
        return dict(Counter(reason for _, reason in self.rejections))


def gather_evidence(bootstrap_servers: str, database_url: str) -> Evidence:
    """Read everything.

    Raises:
        KafkaException: A topic cannot be read.
        psycopg.Error: A table cannot be read.
    """
    with psycopg.connect(database_url, connect_timeout=10) as conn:
        # One snapshot for all tables.
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        tables = _read_tables(conn)
    sent: list[SentBallot] = []
    published_votes: list[PublishedVote] = []
    published_rejections: list[Rejection] = []
    aggregates: dict[str, list[dict[str, Any]]] = {topic: [] for topic in AGGREGATES}
    topics = ("voters_topic", "votes_topic", "rejected_votes_topic", *AGGREGATES)
    for message in read_messages(bootstrap_servers, topics):
        match message.topic():
            case "voters_topic":
                sent.append(_sent_ballot(message))
            case "votes_topic":
                published_votes.append(_published_vote(message))
            case "rejected_votes_topic":
                published_rejections.append(_published_rejection(message))
            case str(topic):
                aggregates[topic].append(json.loads(message.value() or b"null"))
    return Evidence(
        sent=sent,
        published_votes=published_votes,
        published_rejections=published_rejections,
        totals={
            topic: total_by_key(aggregates[topic], fields) for topic, fields in AGGREGATES.items()
        },
        counted_topic_ids={
            record["votes_topic_id"] for records in aggregates.values() for record in records
        },
        **tables,
    )


def total_by_key(records: Iterable[dict[str, Any]], fields: Sequence[str]) -> dict[Key, Total]:
    """Return the last and the highest total of each key.

    Args:
        records: Records of an aggregate topic, in their order.
        fields: The fields of its keys.
    """
    totals: dict[Key, Total] = {}
    for record in records:
        key = tuple(str(record[field]) for field in fields)
        total, before = record["total_votes"], totals.get(key)
        totals[key] = Total(total, max(total, before.highest if before else 0))
    return totals


def read_voters(conn: psycopg.Connection[Any]) -> dict[str, RegisteredVoter]:
    """Return the register by voter_id."""
    rows = conn.execute("SELECT voter_id, date_of_birth, gender, address_state FROM voters")
    return {voter_id: RegisteredVoter(*fields) for voter_id, *fields in rows}


def _read_tables(conn: psycopg.Connection[Any]) -> dict[str, Any]:
    votes = conn.execute(
        "SELECT voter_id, candidate_id, voting_time AT TIME ZONE 'UTC', state, gender, age,"
        " source_partition, source_offset FROM votes"
    )
    rejections = conn.execute("SELECT source_partition, source_offset, reason FROM rejections")
    candidates = conn.execute("SELECT candidate_id, candidate_name FROM candidates")
    return {
        "candidates": dict(candidates.fetchall()),
        "voters": read_voters(conn),
        "votes": [
            StoredVote(voter_id, candidate_id, time, state, gender, age, (partition, offset))
            for voter_id, candidate_id, time, state, gender, age, partition, offset in votes
        ],
        "rejections": [((partition, offset), reason) for partition, offset, reason in rejections],
    }


def _sent_ballot(message: Message) -> SentBallot:
    try:
        voter = json.loads(message.value() or b"null")
    except (ValueError, RecursionError):
        voter = None
    fields = voter if isinstance(voter, dict) else {}
    address = fields.get("address")
    return SentBallot(
        position=position_of(message),
        time=message.timestamp()[1],
        voter_id=fields.get("voter_id"),
        choice=fields.get("choice"),
        state=address.get("state") if isinstance(address, dict) else None,
    )


def _published_vote(message: Message) -> PublishedVote:
    vote = json.loads(message.value() or b"null")
    return PublishedVote(
        voter_id=vote["voter_id"],
        candidate_id=vote["candidate_id"],
        time=vote["voting_time"],
        state=vote["state"],
        gender=vote["gender"],
        age=vote["age"],
        partition=position_of(message)[0],
    )


def _published_rejection(message: Message) -> Rejection:
    rejection = json.loads(message.value() or b"null")
    coordinates = rejection["coordinates"]
    return (coordinates["partition"], coordinates["offset"]), rejection["reason"]
