"""Tests of the reader with fake sources."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import psycopg
import pytest
from structlog.testing import capture_logs

from voting_core.aggregates import AggregateView
from voting_core.election import Election
from voting_core.exceptions import ElectionError, UnreachableError
from voting_core.serialization import compound_key
from voting_core.topics import VOTES, VOTES_PER_CANDIDATE, VOTES_PER_CANDIDATE_BY_LOCATION
from voting_dashboard.reader import Intervals, Reader
from voting_dashboard.sources import TOPICS, AggregateRecord
from voting_dashboard.view_model import Problem, Snapshot, VoterRegister

NEWEST = datetime(2026, 11, 22, 11, 39, tzinfo=UTC)
FAST = Intervals(
    poll=0.005,
    topic_check=0.01,
    proof=0.0,
    register=0.005,
    query_share=1.0,
    retry_initial=0.005,
    retry_max=0.02,
    reread_max=0.02,
)
ELECTION = Election(election_id="e1", began_at=NEWEST, topic_ids={VOTES.name: "t1"})
ANOTHER = Election(election_id="e2", began_at=NEWEST, topic_ids={VOTES.name: "t2"})
TOPIC = VOTES_PER_CANDIDATE_BY_LOCATION.name


def record(row: dict[str, Any], key: bytes, topic: str, at: datetime) -> AggregateRecord:
    """Return a record of an aggregate topic."""
    return AggregateRecord(topic, 0, 0, key, json.dumps(row).encode(), milliseconds(at))


def milliseconds(time: datetime) -> int:
    """Return a time as the timestamp of a record."""
    return int(time.timestamp() * 1000)


def total(votes: int, *, topic_id: str = "t1", after: float = 0) -> AggregateRecord:
    """Return a record of the one candidate's total in the one location."""
    row = {
        "state": "North",
        "candidate_id": "c1",
        "total_votes": votes,
        "votes_topic_id": topic_id,
    }
    return record(row, compound_key("North", "c1"), TOPIC, NEWEST + timedelta(seconds=after))


def candidate_total(votes: int) -> AggregateRecord:
    """Return a record of the one candidate's total."""
    row = {
        "candidate_id": "c1",
        "candidate_name": "Ada",
        "party_affiliation": "Unity",
        "total_votes": votes,
        "votes_topic_id": "t1",
    }
    return record(row, b"c1", VOTES_PER_CANDIDATE.name, NEWEST)


class FakeTotalsSource:
    """Aggregate topics with the records, and a database with the votes, that a test sets."""

    def __init__(self) -> None:
        self.election = ELECTION
        self.caught_up = True
        self.current = True
        self.records: list[AggregateRecord] = []
        self.accepted = 1000
        self.error: Exception | None = None
        self.database_error: Exception | None = None
        self.blocked = threading.Event()
        self.blocked.set()
        self.recordable = True
        self.incidents: list[tuple[str, str]] = []
        self.opened = 0
        self.closed = 0
        self.polls = 0
        self._returned = 0

    def open(self) -> "FakeTotalsSource":
        """Start to read from the beginning."""
        self.opened += 1
        for error in (self.error, self.database_error):
            if error is not None:
                raise error
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

    def accepted_votes(self) -> int:
        """Return the number of votes that a test set."""
        assert self.blocked.wait(10)
        if self.database_error is not None:
            raise self.database_error
        return self.accepted

    def is_current(self) -> bool:
        """Return the value that a test set."""
        return self.current

    def record_unproven(self, topic: str, detail: str) -> bool:
        """Keep the incident."""
        self.incidents.append((topic, detail))
        return self.recordable

    def close(self) -> None:
        """Count the calls."""
        self.closed += 1


class FakeRegisterSource:
    """A register with the voters that a test sets."""

    def __init__(self) -> None:
        self.voters = {"North": 50}
        self.election_id = ELECTION.election_id
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
        return VoterRegister(dict(self.voters), election_id=self.election_id)

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture
def source() -> FakeTotalsSource:
    """Aggregate topics without records, and 1000 accepted votes."""
    return FakeTotalsSource()


@pytest.fixture
def register_source() -> FakeRegisterSource:
    """A register of 50 voters."""
    return FakeRegisterSource()


@pytest.fixture
def reader(source: FakeTotalsSource, register_source: FakeRegisterSource) -> Iterator[Reader]:
    """A reader that is not started yet."""
    reader = Reader(source.open, register_source.open, FAST)
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


def test_follows_both(reader: Reader, source: FakeTotalsSource) -> None:
    """A snapshot combines the totals, the register, and when the newest total was written."""
    source.records = [total(3), total(5, after=1)]
    reader.start()
    snapshot = wait_for(reader, lambda s: s.results.votes == 5 and s.results.registered)
    assert (snapshot.results.registered, snapshot.newest) == (50, NEWEST + timedelta(seconds=1))
    assert (snapshot.problem, snapshot.register_problem) == (None, None)


def test_reads_nothing_again(
    reader: Reader, source: FakeTotalsSource, register_source: FakeRegisterSource
) -> None:
    """The topics are read once, and only new records after that."""
    reader.start()
    wait_for(reader, votes(0))
    for number in (1, 2, 3):
        source.records.append(total(number))
        wait_for(reader, votes(number))
    assert (source.opened, register_source.opened) == (1, 1)


def test_snapshot_is_the_same_until_something_changes(
    reader: Reader, source: FakeTotalsSource, register_source: FakeRegisterSource
) -> None:
    """Records that raise no total and an unchanged register make no new snapshot."""
    source.records = [total(5)]
    reader.start()
    before = wait_for(reader, lambda s: s.results.votes == 5 and s.results.registered)
    source.records.append(total(4, after=9))
    source.records.append(total(99, topic_id="another", after=9))
    polls, reads = source.polls, register_source.reads
    # The next poll returns the records, and the one after it starts when they are applied.
    wait_for(reader, lambda _: source.polls >= polls + 2)
    wait_for(reader, lambda _: register_source.reads >= reads + 2)
    assert reader.snapshot() is before


def test_no_totals_before_the_ends_are_read(reader: Reader, source: FakeTotalsSource) -> None:
    """Until the topics are read to their ends there are no votes."""
    source.caught_up = False
    source.records = [total(5)]
    reader.start()
    wait_for(reader, lambda s: s.results.registered)
    assert (reader.snapshot().caught_up, reader.snapshot().results.votes) == (False, 0)
    source.caught_up = True
    wait_for(reader, votes(5))


def test_kafka_outage(reader: Reader, source: FakeTotalsSource) -> None:
    """During an outage of Kafka the last totals stay beside the problem; then updates resume."""
    source.records = [total(5)]
    reader.start()
    before = datetime.now(UTC)
    wait_for(reader, votes(5))
    with capture_logs() as logs:
        source.error = UnreachableError("no broker")
        frozen = wait_for(reader, lambda s: s.problem is Problem.KAFKA and s.results.votes == 5)
        assert frozen.as_of is not None
        assert before <= frozen.as_of <= datetime.now(UTC)
        tried = source.opened
        wait_for(reader, lambda _: source.opened > tried + 2)
        assert len(logs) == 1
        assert "no broker" in str(logs[0])
        source.records.append(total(6))
        source.error = None
        resumed = wait_for(reader, votes(6))
        assert (resumed.problem, resumed.as_of) == (None, None)
        wait_for(reader, lambda _: len(logs) == 2)
        assert "available again" in str(logs[1])
    assert source.closed == 1


def test_register_outage(
    reader: Reader, source: FakeTotalsSource, register_source: FakeRegisterSource
) -> None:
    """While the register cannot be read the last one stays, and the totals are updated."""
    reader.start()
    wait_for(reader, lambda s: s.results.registered == 50)
    register_source.error = UnreachableError("no broker")
    wait_for(reader, lambda s: s.register_problem is Problem.KAFKA and s.results.registered == 50)
    source.records.append(total(7))
    wait_for(reader, votes(7))
    register_source.voters = {"North": 80}
    register_source.error = None
    assert wait_for(reader, lambda s: s.results.registered == 80).register_problem is None


def test_nothing_is_shown_without_a_proof(reader: Reader, source: FakeTotalsSource) -> None:
    """Without PostgreSQL the last proven totals stay, although newer ones can be read."""
    source.records = [total(5)]
    reader.start()
    wait_for(reader, votes(5))
    database_error = UnreachableError("refused")
    database_error.__cause__ = psycopg.OperationalError("refused")
    source.database_error = database_error
    source.records.append(total(6))
    frozen = wait_for(reader, lambda s: s.problem is Problem.DATABASE)
    assert frozen.results.votes == 5
    source.database_error = None
    assert wait_for(reader, votes(6)).problem is None


def test_no_results_without_a_first_proof(reader: Reader, source: FakeTotalsSource) -> None:
    """A dashboard that never reached PostgreSQL shows no totals."""
    source.records = [total(5)]
    source.database_error = psycopg.OperationalError("refused")
    reader.start()
    shown = wait_for(reader, lambda s: s.problem is Problem.DATABASE)
    assert (shown.caught_up, shown.results.votes, shown.as_of) == (False, 0, None)


@pytest.mark.parametrize("forged", [total(1001), candidate_total(1001)])
def test_a_total_above_the_votes_freezes_the_results(
    reader: Reader, source: FakeTotalsSource, forged: AggregateRecord
) -> None:
    """The last proven results stay, an incident is recorded, and the topics are read again."""
    source.records = [total(5), candidate_total(5)]
    reader.start()
    wait_for(reader, votes(5))
    source.records.append(forged)
    frozen = wait_for(reader, lambda s: s.problem is Problem.UNPROVEN)
    assert (frozen.results.votes, frozen.as_of is None) == (5, False)
    opened = source.opened
    wait_for(reader, lambda _: source.opened >= opened + 2)
    assert reader.snapshot() is frozen
    topic, detail = source.incidents[0]
    assert topic == forged.topic
    assert detail == "the totals add up to 1,001 votes, PostgreSQL has 1,000"
    source.records.remove(forged)
    recovered = wait_for(reader, lambda s: s.problem is None)
    assert (recovered.results.votes, recovered.as_of) == (5, None)


def test_an_incident_that_cannot_be_recorded(reader: Reader, source: FakeTotalsSource) -> None:
    """The results are frozen even if the role may not insert incidents."""
    source.recordable = False
    source.records = [total(1001)]
    reader.start()
    wait_for(reader, lambda s: s.problem is Problem.UNPROVEN_NOT_RECORDED)


def test_deleted_topics_are_no_incident(reader: Reader, source: FakeTotalsSource) -> None:
    """A reset deletes the votes: totals of topics that no longer exist prove nothing."""
    source.records = [total(5)]
    reader.start()
    wait_for(reader, votes(5))
    source.current = False
    source.accepted = 0
    source.error = ElectionError("no election")
    wait_for(reader, lambda s: s.problem is Problem.ELECTION)
    assert source.incidents == []


def test_counting_behind(source: FakeTotalsSource, register_source: FakeRegisterSource) -> None:
    """Accepted votes that stay uncounted longer than usual are named."""
    source.records = [total(5)]
    source.accepted = 8
    reader = Reader(source.open, register_source.open, attrs.evolve(FAST, usual_lag=0.05))
    reader.start()
    wait_for(reader, lambda s: s.caught_up and s.behind == 3 and s.problem is None)
    source.records.append(total(8))
    wait_for(reader, lambda s: s.behind == 0)
    reader.stop()


def test_a_database_that_does_not_respond(
    source: FakeTotalsSource, register_source: FakeRegisterSource
) -> None:
    """A query without an answer is a problem, although no call has failed."""
    reader = Reader(source.open, register_source.open, attrs.evolve(FAST, stalled=0.1))
    source.records = [total(5)]
    reader.start()
    wait_for(reader, votes(5))
    source.blocked.clear()
    stalled = wait_for(reader, lambda s: s.problem is Problem.STALLED)
    assert (stalled.results.votes, stalled.as_of is None) == (5, False)
    source.blocked.set()
    wait_for(reader, lambda s: s.problem is None)
    reader.stop()


def test_another_election(
    reader: Reader, source: FakeTotalsSource, register_source: FakeRegisterSource
) -> None:
    """While the stores disagree the last results stay; those of another election replace them."""
    source.records = [total(5)]
    reader.start()
    wait_for(reader, lambda s: s.results.votes == 5 and s.results.registered == 50)
    source.current = False
    source.error = ElectionError("the database is of election 2, Kafka of election 1")
    frozen = wait_for(reader, lambda s: s.problem is Problem.ELECTION)
    assert frozen.results.votes == 5
    source.election, source.caught_up = ANOTHER, False
    source.records = [total(2, topic_id="t2")]
    source.error = None
    begun = wait_for(reader, lambda s: not s.caught_up)
    assert (begun.results.votes, begun.results.registered) == (0, None)
    register_source.election_id, register_source.voters = ANOTHER.election_id, {"North": 9}
    source.caught_up = True
    wait_for(reader, lambda s: s.results.votes == 2 and s.results.registered == 9)


def test_the_register_is_read_at_once_for_another_election(
    source: FakeTotalsSource, register_source: FakeRegisterSource
) -> None:
    """A long pause after a read of a large register ends when another election begins."""
    reader = Reader(source.open, register_source.open, attrs.evolve(FAST, register=3600))
    reader.start()
    wait_for(reader, lambda s: s.results.registered == 50)
    register_source.election_id = ANOTHER.election_id
    source.election = ANOTHER
    source.current = False
    wait_for(reader, lambda s: register_source.reads == 2 and s.results.registered == 50)
    reader.stop()


def test_recreated_topics(reader: Reader, source: FakeTotalsSource) -> None:
    """When recreated topics are registered the old totals disappear at once."""
    source.records = [total(5)]
    reader.start()
    wait_for(reader, votes(5))
    source.election = attrs.evolve(ELECTION, topic_ids={VOTES.name: "t2"})
    source.caught_up = False
    source.records = [total(2, topic_id="t2")]
    source.current = False
    wait_for(reader, lambda s: not s.caught_up and s.results.votes == 0)
    source.caught_up = True
    wait_for(reader, votes(2))
    assert source.closed == 1


def test_foreign_records_are_skipped(reader: Reader, source: FakeTotalsSource) -> None:
    """A record that is not a total does not stop the reader, and is logged with its position."""
    values = (b"not json", b"{}", b"[]", b"", None, b"\xff", total(7).value, total(-7).value)
    source.records = [
        *(AggregateRecord(TOPIC, 0, n, b"x", value, None) for n, value in enumerate(values)),
        total(5),
    ]
    with capture_logs() as logs:
        reader.start()
        wait_for(reader, votes(5))
    assert [(line["topic"], line["partition"], line["offset"]) for line in logs] == [
        (TOPIC, 0, n) for n in range(len(values))
    ]


def test_a_time_in_the_future(reader: Reader, source: FakeTotalsSource) -> None:
    """A record with a time in the future does not make the data look newer than it is."""
    source.records = [total(5, after=10**9)]
    reader.start()
    newest = wait_for(reader, votes(5)).newest
    assert newest is not None
    assert newest <= datetime.now(UTC)


def test_unexpected_errors_do_not_stop_the_reader(reader: Reader, source: FakeTotalsSource) -> None:
    """An unexpected error is logged and shown, and the reader tries again."""
    source.error = ZeroDivisionError("secret")
    with capture_logs() as logs:
        reader.start()
        problem = wait_for(reader, lambda s: s.problem).problem
    assert problem is Problem.UNEXPECTED
    assert logs[0]["log_level"] == "error"
    source.error = None
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
def test_pauses_between_queries(spent: float) -> None:
    """A query that reads a whole table takes at most 5 % of the time."""
    intervals = Intervals()
    for pause, least in (
        (intervals.register_pause(spent), intervals.register),
        (intervals.proof_pause(spent), intervals.proof),
    ):
        assert pause >= least
        assert spent / (spent + pause) <= 0.05 + 1e-9


def test_the_votes_are_not_counted_more_often(source: FakeTotalsSource) -> None:
    """The pause after a count holds across unproven totals, which are read again soon."""
    slow = attrs.evolve(FAST, proof=3600)
    reader = Reader(source.open, FakeRegisterSource().open, slow)
    source.records = [total(1001)]
    reader.start()
    wait_for(reader, lambda s: s.problem is Problem.UNPROVEN)
    polls = source.polls
    wait_for(reader, lambda _: source.polls > polls + 5)
    assert len(source.incidents) == 1
    reader.stop()


def test_a_record_costs_less_than_real_time_mode_allows(source: FakeTotalsSource) -> None:
    """Records of 5,000 votes a second, one a vote on each topic read, take a third of a core."""
    allowed = 1 / 3 / (5_000 * len(TOPICS))
    source.records = [total(n) if n % 2 else candidate_total(n) for n in range(20_000)]
    view = AggregateView("t1")
    started = time.thread_time()
    for each in source.poll(0):
        view.apply(each.topic, each.key, each.value)
    assert (time.thread_time() - started) / len(source.records) < allowed
    assert [row["total_votes"] for row in view.rows(TOPIC)] == [19_999]
