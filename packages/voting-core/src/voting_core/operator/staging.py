"""Copies of the log topics in temporary tables, which SQL compares in bounded memory.

A staged row holds the record's position and the fields to compare. Foreign records are counted
instead of copied, and the positions of the first are kept.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import psycopg
from confluent_kafka import Message
from psycopg.pq import TransactionStatus

from voting_core.database import check_direct
from voting_core.election import Election
from voting_core.exceptions import SerializationError
from voting_core.foreign import ForeignRecord, ForeignRecords
from voting_core.kafka import position, topic_partition
from voting_core.operator.published_records import read_published_rejection, read_published_vote
from voting_core.operator.vote_counts import NamedCandidate
from voting_core.rules import ChoiceDraw, begin_violation
from voting_core.serialization import decode_voter

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MALFORMED = (None, None, True, None, False)
_POSITION = "record_partition integer NOT NULL, record_offset bigint NOT NULL"


@attrs.frozen
class StagedRecords:
    """The result of staging a topic.

    Attributes:
        records: Number of records, including foreign ones.
    """

    records: int
    foreign: ForeignRecords


@attrs.frozen
class StagedVotes(StagedRecords):
    """The result of staging `votes_topic`, with the number of records by candidate."""

    candidates: Mapping[NamedCandidate, int] = attrs.field(kw_only=True)


@contextmanager
def temporary_tables(conn: psycopg.Connection) -> Iterator[None]:
    """Drop all temporary tables of the connection at the end of the block.

    Raises:
        InputError: The connection is through a pooler.
    """
    check_direct(conn, "comparing the data stores")
    try:
        yield
    finally:
        if conn.info.transaction_status in (TransactionStatus.IDLE, TransactionStatus.INTRANS):
            conn.execute("DISCARD TEMPORARY")


def stage_votes(
    conn: psycopg.Connection, messages: Iterable[Message], votes_topic_id: str
) -> StagedVotes:
    """Copy `votes_topic` into the new table `staged_votes`."""
    candidates: Counter[NamedCandidate] = Counter()

    def vote_row(message: Message) -> tuple[Any, ...]:
        vote = read_published_vote(message, votes_topic_id)
        candidates[vote.candidate] += 1
        candidate_id = vote.candidate[0]
        return (vote.voter_id, candidate_id, vote.state, vote.gender, vote.age, vote.voting_time)

    conn.execute(
        f"CREATE TEMPORARY TABLE staged_votes ({_POSITION}, voter_id text NOT NULL,"
        " candidate_id text NOT NULL, state text NOT NULL, gender text NOT NULL,"
        " age integer NOT NULL, voting_time timestamptz NOT NULL)"
    )
    staged = _stage(conn, "staged_votes", messages, vote_row)
    return StagedVotes(staged.records, staged.foreign, candidates=candidates)


def stage_rejections(
    conn: psycopg.Connection, messages: Iterable[Message], rejected_topic_id: str
) -> StagedRecords:
    """Copy `rejected_votes_topic` into the new table `staged_rejections`."""
    conn.execute(
        f"CREATE TEMPORARY TABLE staged_rejections ({_POSITION}, source_topic_id text NOT NULL,"
        " source_partition bigint NOT NULL, source_offset bigint NOT NULL, voter_id text,"
        " reason text NOT NULL, detail text NOT NULL, record_time timestamptz NOT NULL,"
        " record_size bigint NOT NULL, record_sha256 text NOT NULL)"
    )

    def rejection_row(message: Message) -> tuple[Any, ...]:
        return attrs.astuple(read_published_rejection(message, rejected_topic_id))

    return _stage(conn, "staged_rejections", messages, rejection_row)


def stage_positions(conn: psycopg.Connection, messages: Iterable[Message]) -> StagedRecords:
    """Copy the positions of the records of `voters_topic` into the new table `staged_ballots`."""
    conn.execute(f"CREATE TEMPORARY TABLE staged_ballots ({_POSITION})")
    return _stage(conn, "staged_ballots", messages, lambda _: ())


def stage_ballots(
    conn: psycopg.Connection, messages: Iterable[Message], election: Election, draw: ChoiceDraw
) -> StagedRecords:
    """Copy `voters_topic` into the new table `staged_ballots`, with the data for a recount.

    The row of a malformed record holds only its position. Unless the election is live, a missing
    choice is drawn.
    """
    hours = election.rules.hours

    def ballot_row(message: Message) -> tuple[Any, ...]:
        try:
            time = _EPOCH + timedelta(milliseconds=message.timestamp()[1])
            voter = decode_voter(message.value())
        except (SerializationError, OverflowError):
            return _MALFORMED
        if begin_violation(time, election.began_at) is not None:
            return _MALFORMED
        choice = voter.choice
        if choice is None and draw.candidate_ids and not election.is_live:
            choice = draw.choice(voter.voter_id)
        is_outside_hours = hours.violation(time) is not None
        return (voter.voter_id, choice, voter.choice is None, time, is_outside_hours)

    conn.execute(
        f"CREATE TEMPORARY TABLE staged_ballots ({_POSITION}, voter_id text, choice text,"
        " is_without_choice boolean NOT NULL, voting_time timestamptz,"
        " is_outside_hours boolean NOT NULL)"
    )
    return _stage(conn, "staged_ballots", messages, ballot_row)


def _stage(
    conn: psycopg.Connection,
    table: str,
    messages: Iterable[Message],
    make_row: Callable[[Message], tuple[Any, ...]],
) -> StagedRecords:
    records = 0
    foreign = ForeignRecords()
    with conn.cursor() as cursor:
        with cursor.copy(f"COPY {table} FROM STDIN") as copy:
            write_row = copy.write_row
            for message in messages:
                records += 1
                partition, offset = position(message)
                try:
                    row = make_row(message)
                except SerializationError as error:
                    topic = topic_partition(message)[0]
                    foreign.add(ForeignRecord(topic, partition, offset, str(error)))
                else:
                    write_row((partition, offset, *row))
        # Without statistics, the planner assumes that a temporary table is small.
        cursor.execute(f"ANALYZE {table}")
    return StagedRecords(records, foreign)
