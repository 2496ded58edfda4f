"""Copies of the log topics in temporary tables, for SQL to count and compare in bounded memory.

A copy keeps of each record what can be compared, and where it stood. What cannot be read as what
its topic holds is not copied but remembered, the first of it by name.
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
from voting_core.rules import ChoiceDraw, PollingHours
from voting_core.serialization import decode_object, decode_voter

__all__ = [
    "NamedCandidate",
    "StagedRecords",
    "StagedVotes",
    "stage_ballots",
    "stage_places",
    "stage_rejections",
    "stage_votes",
    "temporary_tables",
]

NAMED_UNREADABLE = 20

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE = "record_partition integer NOT NULL, record_offset bigint NOT NULL"


@attrs.frozen
class StagedRecords:
    """What became of the records of a topic.

    Attributes:
        records: How many there are, unreadable ones included.
        unreadable: How many of them are not what the topic holds.
        examples: The first unreadable ones: `partition@offset: why`.
    """

    records: int
    unreadable: int = 0
    examples: Sequence[str] = ()


NamedCandidate = tuple[str, str, str]
"""A candidate's id, name and party, as a record has them."""


@attrs.frozen
class StagedVotes(StagedRecords):
    """What became of the records of `votes_topic`.

    Attributes:
        candidates: Number of records for each candidate as they name it.
    """

    candidates: Mapping[NamedCandidate, int] = attrs.field(kw_only=True)


@contextmanager
def temporary_tables(conn: psycopg.Connection, *names: str) -> Iterator[None]:
    """Drop temporary tables at the end, whether they have been created or not."""
    try:
        yield
    finally:
        usable = (TransactionStatus.IDLE, TransactionStatus.INTRANS)
        if conn.info.transaction_status in usable:
            for name in names:
                conn.execute(f"DROP TABLE IF EXISTS pg_temp.{name}")


def stage_votes(conn: psycopg.Connection, messages: Iterable[Message]) -> StagedVotes:
    """Copy `votes_topic` into the new table `staged_votes`."""
    candidates: Counter[NamedCandidate] = Counter()

    def row_of(message: Message) -> tuple[Any, ...]:
        candidate, row = _published_vote(message.value())
        candidates[candidate] += 1
        return row

    conn.execute(
        f"CREATE TEMPORARY TABLE staged_votes ({_PLACE}, voter_id text NOT NULL,"
        " candidate_id text NOT NULL, state text NOT NULL, gender text NOT NULL,"
        " age integer NOT NULL, voting_time timestamptz NOT NULL)"
    )
    staged = _stage(conn, "staged_votes", messages, row_of)
    return StagedVotes(**attrs.asdict(staged, recurse=False), candidates=candidates)


def stage_rejections(conn: psycopg.Connection, messages: Iterable[Message]) -> StagedRecords:
    """Copy `rejected_votes_topic` into the new table `staged_rejections`."""
    conn.execute(
        f"CREATE TEMPORARY TABLE staged_rejections ({_PLACE}, source_topic_id text NOT NULL,"
        " source_partition bigint NOT NULL, source_offset bigint NOT NULL, voter_id text,"
        " reason text NOT NULL, detail text NOT NULL, record_time timestamptz NOT NULL,"
        " record_size bigint NOT NULL, record_sha256 text NOT NULL)"
    )
    return _stage(
        conn, "staged_rejections", messages, lambda message: _published_rejection(message.value())
    )


def stage_places(conn: psycopg.Connection, messages: Iterable[Message]) -> StagedRecords:
    """Copy where the records of `voters_topic` stand into the new table `staged_ballots`."""
    conn.execute(f"CREATE TEMPORARY TABLE staged_ballots ({_PLACE})")
    return _stage(conn, "staged_ballots", messages, lambda _: ())


def stage_ballots(
    conn: psycopg.Connection, messages: Iterable[Message], draw: ChoiceDraw, hours: PollingHours
) -> StagedRecords:
    """Copy `voters_topic` into the new table `staged_ballots`, with what the rules ask of it.

    Of a malformed record there is nothing but its place; a choice that a ballot leaves open is
    drawn.
    """

    def row_of(message: Message) -> tuple[Any, ...]:
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
        f"CREATE TEMPORARY TABLE staged_ballots ({_PLACE}, voter_id text, choice text,"
        " voting_time timestamptz, is_outside_hours boolean NOT NULL)"
    )
    return _stage(conn, "staged_ballots", messages, row_of)


def _stage(
    conn: psycopg.Connection,
    table: str,
    messages: Iterable[Message],
    row_of: Callable[[Message], tuple[Any, ...]],
) -> StagedRecords:
    records = unreadable = 0
    examples: list[str] = []
    with conn.cursor() as cursor:
        with cursor.copy(f"COPY {table} FROM STDIN") as copy:
            write_row = copy.write_row
            for message in messages:
                records += 1
                place = position(message)
                try:
                    row = row_of(message)
                except SerializationError as error:
                    unreadable += 1
                    if len(examples) < NAMED_UNREADABLE:
                        examples.append(f"{place[0]}@{place[1]}: {error}")
                else:
                    write_row(place + row)
        # Without it the planner takes a table of millions of rows for a small one.
        cursor.execute(f"ANALYZE {table}")
    return StagedRecords(records, unreadable, tuple(examples))


def _published_vote(value: bytes | None) -> tuple[NamedCandidate, tuple[Any, ...]]:
    fields = decode_object(value)
    texts = _texts(
        fields,
        *("candidate_id", "candidate_name", "party_affiliation", "voter_id", "state", "gender"),
    )
    age = _whole(fields, "age", bits=31)
    if _whole(fields, "vote", bits=31) != 1:
        raise SerializationError("vote: must be 1")
    candidate = (texts[0], texts[1], texts[2])
    return candidate, (
        *(texts[3], texts[0], texts[4], texts[5]),
        *(age, _moment(fields, "voting_time")),
    )


def _published_rejection(value: bytes | None) -> tuple[Any, ...]:
    fields = decode_object(value)
    place = fields.get("coordinates")
    if type(place) is not dict:
        raise SerializationError("coordinates: expected an object")
    voter_id = None if fields.get("voter_id") is None else _texts(fields, "voter_id")[0]
    return (
        *_texts(place, "topic_id"),
        *(_whole(place, "partition"), _whole(place, "offset"), voter_id),
        *_texts(fields, "reason", "detail"),
        *(_moment(fields, "time"), _whole(fields, "size"), *_texts(fields, "sha256")),
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


def _moment(fields: Mapping[str, Any], name: str) -> datetime:
    text = fields.get(name)
    try:
        if type(text) is str and len(text) == 24 and text[10] == "T" and text[-1] == "Z":
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise SerializationError(f"{name}: expected a moment as 2024-11-05T17:03:59.250Z")
