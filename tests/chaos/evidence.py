"""What there is to see after the election, read plainly: files, tables and topics.

Nothing here uses the voting packages: an error of theirs must not be able to hide itself.
"""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

import attrs
import psycopg
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

__all__ = [
    "AGGREGATES",
    "Cast",
    "Evidence",
    "Published",
    "Registered",
    "Total",
    "Vote",
    "gather",
    "read_topic",
    "totals_of",
]

T = TypeVar("T")
Place = tuple[int, int]
"""Partition and offset on voters_topic."""

AGGREGATES = {
    "aggregated_votes_per_candidate": ("candidate_id",),
    "aggregated_turnout_by_location": ("state",),
    "aggregated_votes_per_candidate_by_location": ("state", "candidate_id"),
    "aggregated_turnout_by_demographic": ("dimension", "value"),
    "aggregated_votes_over_time": ("minute", "candidate_id"),
    "aggregated_progress": ("partition",),
}
"""The topics of totals, each with the fields that its totals are for."""

TIMEOUT_SECONDS = 60.0


@attrs.frozen
class Cast:
    """A record of voters_topic; the time is in milliseconds since 1970."""

    place: Place
    time: int
    voter_id: str
    choice: str
    state: str


@attrs.frozen
class Registered:
    """A row of the table `voters`."""

    born: date
    gender: str
    state: str


@attrs.frozen
class Vote:
    """A row of the table `votes`."""

    voter_id: str
    candidate_id: str
    time: datetime
    state: str
    gender: str
    age: int
    place: Place


@attrs.frozen
class Published:
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
    """What a topic of totals says about one key."""

    last: int
    highest: int


@attrs.frozen(kw_only=True)
class Evidence:
    """What every place holds.

    Attributes:
        source: Votes of the results files by candidate's name and state.
        candidates: Names by id.
        rejections: Rows of the table: where, and why.
        rejections_published: Records of rejected_votes_topic: where, and why.
        totals: By topic, then by the values of its fields.
        counted_topics: Ids of votes_topic that the totals name.
    """

    source: Counter[tuple[str, str]]
    cast: Sequence[Cast]
    candidates: dict[str, str]
    register: dict[str, Registered]
    votes: Sequence[Vote]
    rejections: Sequence[tuple[Place, str]]
    published: Sequence[Published]
    rejections_published: Sequence[tuple[Place, str]]
    totals: dict[str, dict[tuple[str, ...], Total]]
    counted_topics: set[str]


def read_topic(bootstrap_servers: str, topic: str, take: Callable[[Message], T]) -> list[T]:
    """Read every committed record of a topic.

    Args:
        bootstrap_servers: Where Kafka is.
        topic: Its name.
        take: Makes of a record what is kept of it.

    Raises:
        KafkaException: It cannot be read, or does not end within a minute's silence.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "checker",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
        }
    )
    taken: list[T] = []
    try:
        partitions = consumer.list_topics(topic, timeout=TIMEOUT_SECONDS).topics[topic].partitions
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
        unread = set(partitions)
        while unread:
            message = consumer.poll(TIMEOUT_SECONDS)
            if message is None:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{topic} does not end"))
            error = message.error()
            if error is None:
                taken.append(take(message))
            elif error.code() == KafkaError._PARTITION_EOF:
                unread.discard(_place(message)[0])
            else:
                raise KafkaException(error)
    finally:
        consumer.close()
    return taken


def gather(bootstrap_servers: str, database_url: str, slices: Iterable[Path]) -> Evidence:
    """Read everything.

    Raises:
        KafkaException: A topic cannot be read.
        psycopg.Error: A table cannot be read.
    """
    with psycopg.connect(database_url, connect_timeout=10) as conn:
        # One snapshot for all tables.
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        tables = _read_tables(conn)
    totals: dict[str, dict[tuple[str, ...], Total]] = {}
    counted: set[str] = set()
    for topic, fields in AGGREGATES.items():
        records = read_topic(bootstrap_servers, topic, lambda m: json.loads(m.value() or b"null"))
        totals[topic] = totals_of(records, fields)
        counted |= {record["votes_topic_id"] for record in records}
    return Evidence(
        source=_read_source(slices),
        cast=read_topic(bootstrap_servers, "voters_topic", _cast),
        published=read_topic(bootstrap_servers, "votes_topic", _published),
        rejections_published=read_topic(bootstrap_servers, "rejected_votes_topic", _rejection),
        totals=totals,
        counted_topics=counted,
        **tables,
    )


def totals_of(
    records: Iterable[dict[str, Any]], fields: Sequence[str]
) -> dict[tuple[str, ...], Total]:
    """Return the last and the highest total of each key, from records in their order."""
    found: dict[tuple[str, ...], Total] = {}
    for record in records:
        key = tuple(str(record[field]) for field in fields)
        total = record["total_votes"]
        known = found.get(key)
        found[key] = Total(total, max(total, known.highest if known else 0))
    return found


def _read_source(slices: Iterable[Path]) -> Counter[tuple[str, str]]:
    votes: Counter[tuple[str, str]] = Counter()
    for path in slices:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                votes[row["candidate"], row["state"]] += int(row["candidatevotes"])
    return +votes


def _read_tables(conn: psycopg.Connection[Any]) -> dict[str, Any]:
    def rows(query: str) -> list[tuple[Any, ...]]:
        return conn.execute(query.encode()).fetchall()

    return {
        "candidates": dict(rows("SELECT candidate_id, candidate_name FROM candidates")),
        "register": {
            voter_id: Registered(*rest)
            for voter_id, *rest in rows(
                "SELECT voter_id, date_of_birth, gender, address_state FROM voters"
            )
        },
        "votes": [
            Vote(voter_id, candidate_id, time, state, gender, age, (partition, offset))
            for voter_id, candidate_id, time, state, gender, age, partition, offset in rows(
                "SELECT voter_id, candidate_id, voting_time AT TIME ZONE 'UTC', state, gender, age,"
                " source_partition, source_offset FROM votes"
            )
        ],
        "rejections": [
            ((partition, offset), reason)
            for partition, offset, reason in rows(
                "SELECT source_partition, source_offset, reason FROM rejections"
            )
        ],
    }


def _place(message: Message) -> Place:
    partition, offset = message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    return partition, offset


def _cast(message: Message) -> Cast:
    voter = json.loads(message.value() or b"null")
    return Cast(
        place=_place(message),
        time=message.timestamp()[1],
        voter_id=voter["voter_id"],
        choice=voter["choice"],
        state=voter["address"]["state"],
    )


def _published(message: Message) -> Published:
    vote = json.loads(message.value() or b"null")
    return Published(
        voter_id=vote["voter_id"],
        candidate_id=vote["candidate_id"],
        time=vote["voting_time"],
        state=vote["state"],
        gender=vote["gender"],
        age=vote["age"],
        partition=_place(message)[0],
    )


def _rejection(message: Message) -> tuple[Place, str]:
    rejection = json.loads(message.value() or b"null")
    where = rejection["coordinates"]
    return (where["partition"], where["offset"]), rejection["reason"]
