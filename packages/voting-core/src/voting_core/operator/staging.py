"""Copies of the log topics in temporary tables, which SQL compares in bounded memory.

A staged row holds the record's position and the fields to compare. Unreadable records are counted
instead of copied, and the first of them are kept as examples.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import psycopg
from confluent_kafka import Message
from psycopg.pq import TransactionStatus

from voting_core.exceptions import SerializationError
from voting_core.kafka import position
from voting_core.operator.vote_counts import NamedCandidate
from voting_core.rules import ChoiceDraw, PollingHours
from voting_core.serialization import decode_object, decode_voter

MAX_EXAMPLES = 20

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POSITION = "record_partition integer NOT NULL, record_offset bigint NOT NULL"


@attrs.frozen
class StagedRecords:
    """The result of staging a topic.

    Attributes:
        records: Number of records, including unreadable ones.
        unreadable: Number of records that do not have the topic's format.
        examples: The first unreadable records, as `partition@offset: reason`.
    """

    records: int
    unreadable: int = 0
    examples: Sequence[str] = ()


@attrs.frozen
class StagedVotes(StagedRecords):
    """The result of staging `votes_topic`, with the number of records by candidate."""

    candidates: Mapping[NamedCandidate, int] = attrs.field(kw_only=True)


@contextmanager
def temporary_tables(conn: psycopg.Connection) -> Iterator[None]:
    """Drop all temporary tables of the connection at the end of the block."""
    try:
        yield
    finally:
        if conn.info.transaction_status in (TransactionStatus.IDLE, TransactionStatus.INTRANS):
            conn.execute("DISCARD TEMPORARY")


def stage_votes(conn: psycopg.Connection, messages: Iterable[Message]) -> StagedVotes:
    """Copy `votes_topic` into the new table `staged_votes`."""
    candidates: Counter[NamedCandidate] = Counter()

    def vote_row(message: Message) -> tuple[Any, ...]:
        candidate, row = _published_vote(message.value())
        candidates[candidate] += 1
        return row

    conn.execute(
        f"CREATE TEMPORARY TABLE staged_votes ({_POSITION}, voter_id text NOT NULL,"
        " candidate_id text NOT NULL, state text NOT NULL, gender text NOT NULL,"
        " age integer NOT NULL, voting_time timestamptz NOT NULL)"
    )
    staged = _stage(conn, "staged_votes", messages, vote_row)
    return StagedVotes(**attrs.asdict(staged, recurse=False), candidates=candidates)


def stage_rejections(conn: psycopg.Connection, messages: Iterable[Message]) -> StagedRecords:
    """Copy `rejected_votes_topic` into the new table `staged_rejections`."""
    conn.execute(
        f"CREATE TEMPORARY TABLE staged_rejections ({_POSITION}, source_topic_id text NOT NULL,"
        " source_partition bigint NOT NULL, source_offset bigint NOT NULL, voter_id text,"
        " reason text NOT NULL, detail text NOT NULL, record_time timestamptz NOT NULL,"
        " record_size bigint NOT NULL, record_sha256 text NOT NULL)"
    )
    return _stage(
        conn, "staged_rejections", messages, lambda message: _published_rejection(message.value())
    )


def stage_positions(conn: psycopg.Connection, messages: Iterable[Message]) -> StagedRecords:
    """Copy the positions of the records of `voters_topic` into the new table `staged_ballots`."""
    conn.execute(f"CREATE TEMPORARY TABLE staged_ballots ({_POSITION})")
    return _stage(conn, "staged_ballots", messages, lambda _: ())


def stage_ballots(
    conn: psycopg.Connection, messages: Iterable[Message], draw: ChoiceDraw, hours: PollingHours
) -> StagedRecords:
    """Copy `voters_topic` into the new table `staged_ballots`, with the data for a recount.

    The row of a malformed record holds only its position. A missing choice is drawn.
    """

    def ballot_row(message: Message) -> tuple[Any, ...]:
        try:
            time = _EPOCH + timedelta(milliseconds=message.timestamp()[1])
            voter = decode_voter(message.value())
        except (SerializationError, OverflowError):
            return (None, None, None, False)
        choice = voter.choice
        if choice is None and draw.candidate_ids:
            choice = draw.choice(voter.voter_id)
        return (voter.voter_id, choice, time, hours.violation(time) is not None)

    conn.execute(
        f"CREATE TEMPORARY TABLE staged_ballots ({_POSITION}, voter_id text, choice text,"
        " voting_time timestamptz, is_outside_hours boolean NOT NULL)"
    )
    return _stage(conn, "staged_ballots", messages, ballot_row)


def _stage(
    conn: psycopg.Connection,
    table: str,
    messages: Iterable[Message],
    make_row: Callable[[Message], tuple[Any, ...]],
) -> StagedRecords:
    records = unreadable = 0
    examples: list[str] = []
    with conn.cursor() as cursor:
        with cursor.copy(f"COPY {table} FROM STDIN") as copy:
            write_row = copy.write_row
            for message in messages:
                records += 1
                partition, offset = position(message)
                try:
                    row = make_row(message)
                except SerializationError as error:
                    unreadable += 1
                    if len(examples) < MAX_EXAMPLES:
                        examples.append(f"{partition}@{offset}: {error}")
                else:
                    write_row((partition, offset, *row))
        # Without statistics, the planner assumes that a temporary table is small.
        cursor.execute(f"ANALYZE {table}")
    return StagedRecords(records, unreadable, tuple(examples))


def _published_vote(value: bytes | None) -> tuple[NamedCandidate, tuple[Any, ...]]:
    fields = decode_object(value)
    names = ("candidate_id", "candidate_name", "party_affiliation", "voter_id", "state", "gender")
    candidate_id, name, party, voter_id, state, gender = _texts(fields, *names)
    age = _whole(fields, "age", bits=31)
    if _whole(fields, "vote", bits=31) != 1:
        raise SerializationError("vote: must be 1")
    row = (voter_id, candidate_id, state, gender, age, _time(fields, "voting_time"))
    return (candidate_id, name, party), row


def _published_rejection(value: bytes | None) -> tuple[Any, ...]:
    fields = decode_object(value)
    source = fields.get("coordinates")
    if type(source) is not dict:
        raise SerializationError("coordinates: expected an object")
    voter_id = None if fields.get("voter_id") is None else _texts(fields, "voter_id")[0]
    return (
        *_texts(source, "topic_id"),
        *(_whole(source, "partition"), _whole(source, "offset"), voter_id),
        *_texts(fields, "reason", "detail"),
        *(_time(fields, "time"), _whole(fields, "size"), *_texts(fields, "sha256")),
    )


def _texts(fields: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    texts = tuple([fields.get(name) for name in names])
    for text in texts:
        if type(text) is not str or "\0" in text:
            name = names[texts.index(text)]
            raise SerializationError(f"{name}: expected a text without NUL characters")
    return texts  # type: ignore[return-value]


def _whole(fields: Mapping[str, Any], name: str, bits: int = 63) -> int:
    number = fields.get(name)
    if type(number) is not int or not -(1 << bits) <= number < 1 << bits:
        raise SerializationError(f"{name}: expected a whole number of less than {bits + 1} bits")
    return number


def _time(fields: Mapping[str, Any], name: str) -> datetime:
    text = fields.get(name)
    try:
        if type(text) is str and len(text) == 24 and text[10] == "T" and text[-1] == "Z":
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise SerializationError(f"{name}: expected a time as 2024-11-05T17:03:59.250Z")
