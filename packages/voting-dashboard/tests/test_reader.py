"""Tests of the reader with fake sources."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from voting_core.exceptions import UnreachableError
from voting_core.topics import VOTES_PER_CANDIDATE
from voting_dashboard.reader import Intervals, Reader
from voting_dashboard.sources import AggregateRecord
from voting_dashboard.view_model import Snapshot, VoterRegister

NEWEST = datetime(2026, 11, 22, 11, 39, tzinfo=UTC)
FAST = Intervals(poll=0.005, topic_check=0.01, register=0.005, retry_initial=0.005, retry_max=0.02)


def total(votes: int, *, topic_id: str = "t1", after: float = 0) -> AggregateRecord:
    """Return a record of the one candidate's total."""
    row = {
        "candidate_id": "c1",
        "candidate_name": "Ada",
        "party_affiliation": "Unity",
        "total_votes": votes,
        "votes_topic_id": topic_id,
    }
    written = NEWEST + timedelta(seconds=after)
    return AggregateRecord(VOTES_PER_CANDIDATE.name, b"c1", json.dumps(row).encode(), written)


class FakeAggregateSource:
    """Aggregate topics with the records that a test adds."""

    def __init__(self) -> None:
        self.votes_topic_id = "t1"
        self.caught_up = True
        self.current = True
        self.records: list[AggregateRecord] = []
        self.error: Exception | None = None
        self.opened = 0
        self.closed = 0
        self.polls = 0
        self._returned = 0

    def open(self) -> "FakeAggregateSource":
        """Start to read from the beginning."""
        self.opened += 1
        if self.error is not None:
            raise self.error
        self.current = True
        self._returned = 0
        return self

    def poll(self, timeout: float) -> list[AggregateRecord]:
        """Return new records."""
        self.polls += 1
        if self.error is not None:
            raise self.error
        new = self.records[self._returned :]
        self._returned += len(new)
        if not new:
            time.sleep(timeout)
        return new

    def is_current(self) -> bool:
        """Return the value that a test set."""
        return self.current

    def close(self) -> None:
        """Count the calls."""
        self.closed += 1


class FakeRegisterSource:
    """A register with the voters that a test sets."""

    def __init__(self) -> None:
        self.voters = {"North": 50}
        self.error: Exception | None = None
        self.opened = 0
        self.reads = 0

    def open(self) -> "FakeRegisterSource":
        """Connect."""
        self.opened += 1
        return self

    def read(self) -> VoterRegister:
        """Return the register."""
        self.reads += 1
        if self.error is not None:
            raise self.error
        return VoterRegister(dict(self.voters))

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture
def aggregates() -> FakeAggregateSource:
    """Aggregate topics without records."""
    return FakeAggregateSource()


@pytest.fixture
def register_source() -> FakeRegisterSource:
    """A register of 50 voters."""
    return FakeRegisterSource()


@pytest.fixture
def reader(
    aggregates: FakeAggregateSource, register_source: FakeRegisterSource
) -> Iterator[Reader]:
    """A reader that is not started yet."""
    reader = Reader(aggregates.open, register_source.open, FAST)
    yield reader
    reader.stop()


def wait_for(reader: Reader, condition: Callable[[Snapshot], Any]) -> Snapshot:
    """Return the first snapshot that meets a condition."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        snapshot = reader.snapshot()
        if condition(snapshot):
            return snapshot
        time.sleep(0.002)
    raise AssertionError(f"still {reader.snapshot()}")


def votes(number: int) -> Callable[[Snapshot], bool]:
    """Return the condition that a snapshot has this number of votes."""
    return lambda snapshot: snapshot.caught_up and snapshot.results.votes == number


def test_follows_both(reader: Reader, aggregates: FakeAggregateSource) -> None:
    """A snapshot combines the totals, the register, and when the newest total was written."""
    aggregates.records = [total(3), total(5, after=1)]
    reader.start()
    snapshot = wait_for(reader, lambda s: s.results.votes == 5 and s.results.registered)
    assert (snapshot.results.registered, snapshot.newest) == (50, NEWEST + timedelta(seconds=1))
    assert (snapshot.kafka_problem, snapshot.database_problem) == (None, None)


def test_reads_nothing_again(
    reader: Reader, aggregates: FakeAggregateSource, register_source: FakeRegisterSource
) -> None:
    """The topics are read once, and only new records after that."""
    reader.start()
    wait_for(reader, votes(0))
    for number in (1, 2, 3):
        aggregates.records.append(total(number))
        wait_for(reader, votes(number))
    assert (aggregates.opened, register_source.opened) == (1, 1)


def test_snapshot_is_the_same_until_something_changes(
    reader: Reader, aggregates: FakeAggregateSource, register_source: FakeRegisterSource
) -> None:
    """Records that raise no total and an unchanged register make no new snapshot."""
    aggregates.records = [total(5)]
    reader.start()
    before = wait_for(reader, lambda s: s.results.votes == 5 and s.results.registered)
    aggregates.records.append(total(4, after=9))
    aggregates.records.append(total(99, topic_id="another", after=9))
    polls, reads = aggregates.polls, register_source.reads
    # The next poll returns the records, and the one after it starts when they are applied.
    wait_for(reader, lambda _: aggregates.polls >= polls + 2)
    wait_for(reader, lambda _: register_source.reads >= reads + 2)
    assert reader.snapshot() is before


def test_no_totals_before_the_ends_are_read(
    reader: Reader, aggregates: FakeAggregateSource
) -> None:
    """Until the topics are read to their ends there are no votes."""
    aggregates.caught_up = False
    aggregates.records = [total(5)]
    reader.start()
    wait_for(reader, lambda s: s.results.registered)
    assert (reader.snapshot().caught_up, reader.snapshot().results.votes) == (False, 0)
    aggregates.caught_up = True
    wait_for(reader, votes(5))


def test_kafka_outage(reader: Reader, aggregates: FakeAggregateSource) -> None:
    """During an outage of Kafka the last totals stay beside the problem; then updates resume."""
    aggregates.records = [total(5)]
    reader.start()
    wait_for(reader, votes(5))
    with capture_logs() as logs:
        aggregates.error = UnreachableError("no broker")
        wait_for(reader, lambda s: s.kafka_problem == "no broker" and s.results.votes == 5)
        tried = aggregates.opened
        wait_for(reader, lambda _: aggregates.opened > tried + 2)
    assert [line["reason"] for line in logs] == ["no broker"]
    aggregates.records.append(total(6))
    aggregates.error = None
    assert wait_for(reader, votes(6)).kafka_problem is None
    assert aggregates.closed == 1


def test_database_outage(
    reader: Reader, aggregates: FakeAggregateSource, register_source: FakeRegisterSource
) -> None:
    """During an outage of PostgreSQL the last register stays, and the totals are updated."""
    reader.start()
    wait_for(reader, lambda s: s.results.registered == 50)
    register_source.error = UnreachableError("refused")
    wait_for(reader, lambda s: s.database_problem == "refused" and s.results.registered == 50)
    aggregates.records.append(total(7))
    wait_for(reader, votes(7))
    register_source.voters = {"North": 80}
    register_source.error = None
    assert wait_for(reader, lambda s: s.results.registered == 80).database_problem is None


def test_recreated_topics(reader: Reader, aggregates: FakeAggregateSource) -> None:
    """When the topics are recreated the old totals disappear at once."""
    aggregates.records = [total(5)]
    reader.start()
    wait_for(reader, votes(5))
    aggregates.votes_topic_id, aggregates.caught_up = "t2", False
    aggregates.records = [total(2, topic_id="t2")]
    aggregates.current = False
    wait_for(reader, lambda s: not s.caught_up and s.results.votes == 0)
    aggregates.caught_up = True
    wait_for(reader, votes(2))
    assert aggregates.closed == 1


def test_foreign_records_are_skipped(reader: Reader, aggregates: FakeAggregateSource) -> None:
    """A record that is not a total does not stop the reader."""
    topic = VOTES_PER_CANDIDATE.name
    aggregates.records = [
        AggregateRecord(topic, b"x", b"not json", NEWEST),
        AggregateRecord(topic, b"x", b"{}", NEWEST),
        AggregateRecord(topic, b"x", b"", NEWEST),
        total(5),
    ]
    with capture_logs() as logs:
        reader.start()
        wait_for(reader, votes(5))
    assert [line["topic"] for line in logs] == [topic] * 3


def test_unexpected_errors_do_not_stop_the_reader(
    reader: Reader, aggregates: FakeAggregateSource
) -> None:
    """An unexpected error is logged and shown, and the reader tries again."""
    aggregates.error = ZeroDivisionError("secret")
    with capture_logs() as logs:
        reader.start()
        problem = wait_for(reader, lambda s: s.kafka_problem).kafka_problem
    assert problem is not None
    assert "secret" not in problem
    assert logs[0]["log_level"] == "error"
    aggregates.error = None
    wait_for(reader, votes(0))


def test_stop_ends_the_threads(reader: Reader) -> None:
    """Stopping ends both threads; as daemons they never keep the process from ending."""
    before = set(threading.enumerate())
    reader.start()
    threads = set(threading.enumerate()) - before
    assert len(threads) == 2
    assert all(thread.daemon for thread in threads)
    reader.stop()
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("spent", [0.001, 0.1, 1.0, 60.0])
def test_register_pause(spent: float) -> None:
    """The pause is 2 s, or longer if reading would take more than 5 % of the time."""
    pause = Intervals().register_pause(spent)
    assert pause >= 2.0
    assert spent / (spent + pause) <= 0.05 + 1e-9
    assert pause == 2.0 or spent > 0.1
