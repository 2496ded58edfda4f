"""Tests of the reader, over sources that are told what to say."""

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
from voting_dashboard.reader import Pace, Reader
from voting_dashboard.snapshot import Snapshot
from voting_dashboard.sources import Record
from voting_dashboard.tally import Register

NEWEST = datetime(2026, 11, 22, 11, 39, tzinfo=UTC)
FAST = Pace(poll=0.005, check=0.01, register=0.005, retry_first=0.005, retry_longest=0.02)


def total(votes: int, *, topic_id: str = "t1", after: float = 0) -> Record:
    """Return a record of the one candidate's total."""
    row = {
        "candidate_id": "c1",
        "candidate_name": "Ada",
        "party_affiliation": "Unity",
        "total_votes": votes,
        "votes_topic_id": topic_id,
    }
    written = NEWEST + timedelta(seconds=after)
    return Record(VOTES_PER_CANDIDATE.name, b"c1", json.dumps(row).encode(), written)


class FakeCount:
    """Aggregate topics that hold what a test puts into them."""

    def __init__(self) -> None:
        self.votes_topic_id = "t1"
        self.caught_up = True
        self.current = True
        self.records: list[Record] = []
        self.error: Exception | None = None
        self.opened = 0
        self.closed = 0
        self._returned = 0

    def open(self) -> "FakeCount":
        """Read anew from the beginning."""
        self.opened += 1
        if self.error is not None:
            raise self.error
        self.current = True
        self._returned = 0
        return self

    def poll(self, seconds: float) -> list[Record]:
        """Return what is new."""
        if self.error is not None:
            raise self.error
        new = self.records[self._returned :]
        self._returned += len(new)
        if not new:
            time.sleep(seconds)
        return new

    def is_current(self) -> bool:
        """Tell what the test says."""
        return self.current

    def close(self) -> None:
        """Count it."""
        self.closed += 1


class FakeRegister:
    """A register that holds what a test says."""

    def __init__(self) -> None:
        self.voters = {"North": 50}
        self.error: Exception | None = None
        self.opened = 0

    def open(self) -> "FakeRegister":
        """Connect."""
        self.opened += 1
        return self

    def read(self) -> Register:
        """Return the register."""
        if self.error is not None:
            raise self.error
        return Register(dict(self.voters))

    def close(self) -> None:
        """Do nothing."""


class Stage:
    """A reader over fake sources."""

    def __init__(self) -> None:
        self.count = FakeCount()
        self.register = FakeRegister()
        self.reader = Reader(self.count.open, self.register.open, FAST)

    def wait(self, condition: Callable[[Snapshot], Any]) -> Snapshot:
        """Return the first snapshot of which this holds."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            snapshot = self.reader.snapshot()
            if condition(snapshot):
                return snapshot
            time.sleep(0.002)
        raise AssertionError(f"still {self.reader.snapshot()}")


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A reader that has not started yet."""
    stage = Stage()
    yield stage
    stage.reader.stop()


def votes(number: int) -> Callable[[Snapshot], bool]:
    """Return the condition that so many votes are counted."""
    return lambda snapshot: snapshot.caught_up and snapshot.results.votes == number


def test_follows_both(stage: Stage) -> None:
    """A snapshot joins the count, the register, and when the newest total was written."""
    stage.count.records = [total(3), total(5, after=1)]
    stage.reader.start()
    snapshot = stage.wait(lambda s: s.results.votes == 5 and s.results.registered)
    assert (snapshot.results.registered, snapshot.newest) == (50, NEWEST + timedelta(seconds=1))
    assert (snapshot.kafka_problem, snapshot.database_problem) == (None, None)


def test_reads_nothing_again(stage: Stage) -> None:
    """New records are read on from where the reader is."""
    stage.reader.start()
    stage.wait(votes(0))
    for number in (1, 2, 3):
        stage.count.records.append(total(number))
        stage.wait(votes(number))
    assert (stage.count.opened, stage.register.opened) == (1, 1)


def test_snapshot_is_the_same_until_something_changes(stage: Stage) -> None:
    """Records that raise no total and a register that is unchanged make no new snapshot."""
    stage.count.records = [total(5)]
    stage.reader.start()
    before = stage.wait(lambda s: s.results.votes == 5 and s.results.registered)
    stage.count.records.append(total(4, after=9))
    stage.count.records.append(total(99, topic_id="another", after=9))
    time.sleep(0.1)
    assert stage.reader.snapshot() is before


def test_shows_no_half_read_count(stage: Stage) -> None:
    """Until the topics are read to their ends there is no count."""
    stage.count.caught_up = False
    stage.count.records = [total(5)]
    stage.reader.start()
    stage.wait(lambda s: s.results.registered)
    assert (stage.reader.snapshot().caught_up, stage.reader.snapshot().results.votes) == (False, 0)
    stage.count.caught_up = True
    stage.wait(votes(5))


def test_kafka_goes_and_comes_back(stage: Stage) -> None:
    """While Kafka is away the last count stays beside the reason, and then it goes on."""
    stage.count.records = [total(5)]
    stage.reader.start()
    stage.wait(votes(5))
    with capture_logs() as logs:
        stage.count.error = UnreachableError("no broker")
        stage.wait(lambda s: s.kafka_problem == "no broker" and s.results.votes == 5)
        tried = stage.count.opened
        stage.wait(lambda _: stage.count.opened > tried + 2)
    assert [line["reason"] for line in logs] == ["no broker"]
    stage.count.records.append(total(6))
    stage.count.error = None
    assert stage.wait(votes(6)).kafka_problem is None
    assert stage.count.closed == 1


def test_database_goes_and_comes_back(stage: Stage) -> None:
    """While PostgreSQL is away the last register stays beside the reason, and the count goes on."""
    stage.reader.start()
    stage.wait(lambda s: s.results.registered == 50)
    stage.register.error = UnreachableError("refused")
    stage.wait(lambda s: s.database_problem == "refused" and s.results.registered == 50)
    stage.count.records.append(total(7))
    stage.wait(votes(7))
    stage.register.voters = {"North": 80}
    stage.register.error = None
    assert stage.wait(lambda s: s.results.registered == 80).database_problem is None


def test_another_election(stage: Stage) -> None:
    """When the topics are recreated the count starts anew and the old one goes at once."""
    stage.count.records = [total(5)]
    stage.reader.start()
    stage.wait(votes(5))
    stage.count.votes_topic_id, stage.count.caught_up = "t2", False
    stage.count.records = [total(2, topic_id="t2")]
    stage.count.current = False
    stage.wait(lambda s: not s.caught_up and s.results.votes == 0)
    stage.count.caught_up = True
    stage.wait(votes(2))
    assert stage.count.closed == 1


def test_bad_records_are_passed_over(stage: Stage) -> None:
    """A record that is no total does not keep the others from being counted."""
    topic = VOTES_PER_CANDIDATE.name
    stage.count.records = [
        Record(topic, b"x", b"not json", NEWEST),
        Record(topic, b"x", b"{}", NEWEST),
        Record(topic, b"x", b"", NEWEST),
        total(5),
    ]
    with capture_logs() as logs:
        stage.reader.start()
        stage.wait(votes(5))
    assert [line["topic"] for line in logs] == [topic] * 3


def test_unexpected_errors_do_not_end_it(stage: Stage) -> None:
    """An error that nobody thought of is logged and shown, and the reader tries again."""
    stage.count.error = ZeroDivisionError("secret")
    with capture_logs() as logs:
        stage.reader.start()
        problem = stage.wait(lambda s: s.kafka_problem).kafka_problem
    assert problem is not None
    assert "secret" not in problem
    assert logs[0]["log_level"] == "error"
    stage.count.error = None
    stage.wait(votes(0))


def test_stop_ends_the_threads(stage: Stage) -> None:
    """Stopping ends both threads at once; they never keep the process from ending."""
    before = set(threading.enumerate())
    stage.reader.start()
    threads = set(threading.enumerate()) - before
    assert len(threads) == 2
    assert all(thread.daemon for thread in threads)
    stage.reader.stop()
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("spent", [0.001, 0.1, 1.0, 60.0])
def test_pace_of_the_register(spent: float) -> None:
    """A cheap register is read every 2 s, a costly one for no more than 5 % of the time."""
    pause = Pace().before_register(spent)
    assert pause >= 2.0
    assert spent / (spent + pause) <= 0.05 + 1e-9
    assert pause == 2.0 or spent > 0.1
