"""The service, with Spark, Kafka and PostgreSQL replaced."""

import itertools
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from confluent_kafka import KafkaError, KafkaException
from py4j.protocol import Py4JNetworkError
from pyspark.errors import StreamingQueryException
from pyspark.sql import Row
from structlog.testing import capture_logs

from voting_core.election import Election
from voting_core.exceptions import FatalError, TopicRecreatedError
from voting_core.kafka import OffsetRange
from voting_core.service import topic_watch
from voting_core.service.java import Java
from voting_stream import count, live_totals, service
from voting_stream.count import BEGIN_VOTES, LEAVE_VOTES, RECOUNT_VOTES
from voting_stream.settings import StreamSettings

ELECTION = Election(
    election_id="E", began_at=datetime(2026, 11, 3, tzinfo=UTC), topic_ids={"votes_topic": "ID"}
)
OUTAGE = StreamingQueryException("a.b.TimeoutException: Timed out waiting for a node assignment")


def batch(number: int, rows: int = 5, foreign: int = 0) -> dict[str, Any]:
    """Return what Spark reports of a batch."""
    observed = Row(records=foreign, first=Row(partition=1, offset=7) if foreign else None)
    return {
        "batchId": number,
        "numInputRows": rows,
        "processedRowsPerSecond": 2.5,
        "durationMs": {"triggerExecution": 7},
        "observedMetrics": {"foreign": observed},
    }


@attrs.define
class FakeSpark:
    """A session that remembers whether it was stopped; it is its own context."""

    master: str = "local[1]"
    stopped: bool = False

    @property
    def sparkContext(self) -> "FakeSpark":
        """Return the context."""
        return self


@attrs.define
class FakeQuery:
    """A query that does something while the service waits for its end."""

    while_waiting: Callable[[], object]
    stopped: bool = False
    recentProgress: list[dict[str, Any]] = attrs.field(factory=list)
    lastProgress: dict[str, Any] = attrs.field(
        factory=lambda: {"sources": [{"endOffset": '{"votes_topic": {"0": 7}}'}]}
    )
    status: dict[str, Any] = attrs.field(factory=lambda: {"isTriggerActive": True})

    def awaitTermination(self, timeout: int) -> bool:
        """Wait for the end."""
        return bool(self.while_waiting())

    def stop(self) -> None:
        """Stop."""
        self.stopped = True


def interrupt_as_spark(*_: object) -> None:
    """Stand in for the SIGINT handler that Spark installs."""
    raise KeyboardInterrupt


@pytest.fixture
def spark(monkeypatch: pytest.MonkeyPatch) -> FakeSpark:
    """A session that the service starts without Java and Kafka."""
    fake = FakeSpark()

    def start_session(*_: object) -> FakeSpark:
        signal.signal(signal.SIGINT, interrupt_as_spark)
        return fake

    def stop_session(session: FakeSpark) -> None:
        session.stopped = True

    monkeypatch.setattr(service, "configure_logging", lambda *_: None)
    monkeypatch.setattr(service, "find_java", lambda _: Java(Path("java"), 17, "17"))
    monkeypatch.setattr(service, "connect_admin", lambda _: None)
    monkeypatch.setattr(service, "check_topics", lambda *_: None)
    monkeypatch.setattr(service, "offset_ranges", lambda *_: {0: OffsetRange(0, 0)})
    monkeypatch.setattr(service, "read_checked_election", lambda *_, **__: ELECTION)
    monkeypatch.setattr(service, "start_session", start_session)
    monkeypatch.setattr(service, "stop_session", stop_session)
    monkeypatch.setattr(count, "check_topic_ids", lambda *_: None)
    monkeypatch.setattr(live_totals, "offset_ranges", lambda *_: {0: OffsetRange(0, 7)})
    monkeypatch.setattr(topic_watch, "CHECK_SECONDS", 0.0)
    monkeypatch.setattr(service, "lock_checkpoint", lambda *_: None)
    return fake


def run_queries(monkeypatch: pytest.MonkeyPatch, *queries: FakeQuery, **settings: Any) -> None:
    """Run the service by micro-batches; it starts these queries one after the other."""
    started = iter(queries)
    monkeypatch.setattr(count, "start_query", lambda *_: next(started))
    service.run(StreamSettings(**({"trigger": "1 second"} | settings)))


@attrs.define
class FakeTotals:
    """Totals that say, each time they are read, whether any was written and whether all are."""

    looks: list[tuple[bool, bool]]
    each: int = 5
    behind: int = 0
    counted: dict[int, int] | None = None
    votes: int = 0
    look: int = -1

    def __call__(self, *args: Any) -> "FakeTotals":
        """Stand in for the class."""
        self.counted = args[-1]
        return self

    def __enter__(self) -> "FakeTotals":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def read(self) -> bool:
        """Return whether there were new totals."""
        written, _ = self.looks[self.look]
        self.votes += self.each * written
        return written

    def waiting(self) -> dict[tuple[str, int], OffsetRange]:
        """Return offsets of uncounted votes."""
        return {("votes_topic", 0): OffsetRange(0, self.behind)}

    def are_complete(self, _: object) -> bool:
        """Return whether all votes are counted."""
        _, complete = self.looks[self.look]
        return complete

    def next(self) -> None:
        """Move on to the next look; after the last one, the service is stopped."""
        self.look += 1
        if self.look == len(self.looks):
            stop()


def run_in_real_time(
    monkeypatch: pytest.MonkeyPatch, totals: FakeTotals, *queries: FakeQuery, **settings: Any
) -> list[str]:
    """Run the service in real-time mode; return the triggers of the queries that it started."""
    triggers = []
    started = iter(queries)

    def start_query(*args: Any) -> FakeQuery:
        triggers.append(args[-1])
        return next(started)

    monkeypatch.setattr(count, "start_query", start_query)
    monkeypatch.setattr(count, "LiveTotals", totals)
    monkeypatch.setattr(service, "check_slots", lambda *_: None)
    service.run(StreamSettings(**settings))
    return triggers


def fails_with(error: Exception) -> FakeQuery:
    """Return a query that fails."""

    def fail() -> None:
        raise error

    return FakeQuery(fail)


def stop() -> None:
    """Send this process a signal."""
    os.kill(os.getpid(), signal.SIGTERM)


def stop_later() -> Callable[[], object]:
    """Return a function that sends this process a signal when it is called again."""
    calls = iter([None])

    def stop_at_the_second_call() -> None:
        if next(calls, False) is False:
            stop()

    return stop_at_the_second_call


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_query_and_spark(
    monkeypatch: pytest.MonkeyPatch, spark: FakeSpark, number: signal.Signals
) -> None:
    """The service returns, although Spark has replaced the handler of SIGINT."""
    before = signal.getsignal(signal.SIGINT)
    query = FakeQuery(lambda: os.kill(os.getpid(), number))
    run_queries(monkeypatch, query)
    assert query.stopped
    assert spark.stopped
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_start_ends_it_in_order(
    monkeypatch: pytest.MonkeyPatch, spark: FakeSpark, number: signal.Signals
) -> None:
    """Spark is started and stopped, so that its Java process ends; no query is started."""
    monkeypatch.setattr(service, "connect_admin", lambda _: os.kill(os.getpid(), number))
    run_queries(monkeypatch)
    assert spark.stopped


def test_a_signal_may_end_java_while_it_starts(
    monkeypatch: pytest.MonkeyPatch, spark: FakeSpark
) -> None:
    """The signal of a process group; without one, the failed start is an error."""

    def fail(*_: object) -> None:
        raise Py4JNetworkError("Answer from Java side is empty")

    monkeypatch.setattr(service, "SIGNAL_SECONDS", 0.1)
    monkeypatch.setattr(service, "start_session", fail)
    with pytest.raises(FatalError, match="Spark does not start: Answer from Java"):
        run_queries(monkeypatch)
    monkeypatch.setattr(service, "connect_admin", lambda _: stop())
    run_queries(monkeypatch)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (StreamingQueryException("no space left\nat line 1"), "the count stopped: no space left"),
        (Py4JNetworkError("Answer from Java side\nis empty"), "Spark failed: Answer from Java"),
        (ConnectionRefusedError("refused"), "Spark failed: refused"),
    ],
)
def test_a_failure_is_fatal(
    monkeypatch: pytest.MonkeyPatch, spark: FakeSpark, error: Exception, message: str
) -> None:
    """The error names the cause in one line, and Spark is stopped."""
    with pytest.raises(FatalError, match=message) as raised:
        run_queries(monkeypatch, fails_with(error))
    assert "\n" not in str(raised.value)
    assert spark.stopped


def test_lost_records_are_an_older_backup(
    monkeypatch: pytest.MonkeyPatch, spark: FakeSpark, tmp_path: Path
) -> None:
    """The message names the checkpoint to delete."""
    query = fails_with(StreamingQueryException(f"{count._LOST_RECORDS}; either the data was aged"))
    with pytest.raises(
        FatalError, match=f"delete the checkpoint.*{tmp_path}/ID|{tmp_path}/ID.*del"
    ):
        run_queries(monkeypatch, query, checkpoint=str(tmp_path))


@pytest.mark.parametrize("fails", [False, True])
def test_a_recreated_topic_is_fatal(
    monkeypatch: pytest.MonkeyPatch, spark: FakeSpark, fails: bool
) -> None:
    """Whether the service notices it before or after the query fails because of it."""

    def check(*_: object) -> None:
        raise TopicRecreatedError("topic votes_topic was recreated")

    monkeypatch.setattr(count, "check_topic_ids", check)
    query = fails_with(StreamingQueryException("lost")) if fails else FakeQuery(lambda: False)
    with pytest.raises(TopicRecreatedError):
        run_queries(monkeypatch, query)
    assert query.stopped


def test_the_query_starts_again_after_an_outage(
    monkeypatch: pytest.MonkeyPatch, spark: FakeSpark, tmp_path: Path
) -> None:
    """Once Kafka is available; until then, there is no heartbeat."""
    heartbeat = tmp_path / "heartbeat"
    unavailable = iter([True, True, True])

    def check(*_: object) -> None:
        assert not heartbeat.exists()
        if next(unavailable, False):
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    monkeypatch.setattr(count, "check_topic_ids", check)
    query = FakeQuery(stop_later(), status={"isTriggerActive": False})
    with capture_logs() as logs:
        run_queries(monkeypatch, fails_with(OUTAGE), query, heartbeat=heartbeat)
    events = [entry["event"] for entry in logs]
    assert events[-3:] == ["unavailable", "available again", "stopped"]
    assert next(unavailable, None) is None
    assert query.stopped


def test_a_query_that_keeps_failing_starts_less_often(
    monkeypatch: pytest.MonkeyPatch, spark: FakeSpark
) -> None:
    """Although the brokers answer."""
    starts = []
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    def fail() -> None:
        starts.append(now)
        raise OUTAGE

    monkeypatch.setattr("voting_stream.count.time.monotonic", lambda: now)
    monkeypatch.setattr("voting_stream.count.time.sleep", sleep)
    queries = [FakeQuery(fail) for _ in range(4)]
    run_queries(monkeypatch, *queries, FakeQuery(stop))
    waits = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert waits[0] < waits[1] < waits[2]


def test_a_signal_during_an_outage_stops_the_service(
    monkeypatch: pytest.MonkeyPatch, spark: FakeSpark
) -> None:
    """At once, although a request to Kafka is in flight."""
    requests = []

    def check(*_: object) -> None:
        requests.append(1)
        if len(requests) == 3:
            stop()
            pytest.fail("the request was not interrupted")
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    monkeypatch.setattr(count, "check_topic_ids", check)
    run_queries(monkeypatch, fails_with(OUTAGE))
    assert spark.stopped


def test_every_batch_is_logged_once(monkeypatch: pytest.MonkeyPatch, spark: FakeSpark) -> None:
    """Several batches between two looks are one line; foreign records are not votes."""
    progress = [batch(0), batch(1, 6, foreign=2), batch(2), batch(3, 0)]
    with capture_logs() as logs:
        run_queries(monkeypatch, FakeQuery(stop_later(), recentProgress=progress))
    (counted,) = (entry for entry in logs if entry["event"] == "counted")
    assert (counted["batch"], counted["votes"]) == (2, 14)
    (skipped,) = (entry for entry in logs if entry["event"] == "skipped foreign records")
    assert (skipped["records"], skipped["first"]) == (2, "1@7")


def test_the_heartbeat_is_updated_on_progress(
    monkeypatch: pytest.MonkeyPatch, spark: FakeSpark, tmp_path: Path
) -> None:
    """A batch that counted votes updates it, and so does a query that waits for votes."""
    path = tmp_path / "heartbeat"
    run_queries(monkeypatch, FakeQuery(stop, recentProgress=[batch(0, 0)]), heartbeat=path)
    assert not path.exists()
    run_queries(monkeypatch, FakeQuery(stop, recentProgress=[batch(0)]), heartbeat=path)
    path.unlink()
    query = FakeQuery(stop_later(), status={"isTriggerActive": False})
    run_queries(monkeypatch, query, heartbeat=path)
    path.unlink()


def test_a_backlog_is_counted_before_real_time_mode_begins(
    monkeypatch: pytest.MonkeyPatch, spark: FakeSpark
) -> None:
    """By micro-batches, repeated while many votes wait; real-time mode continues after them."""
    totals = FakeTotals([(True, True)])
    ends = iter([8 + BEGIN_VOTES, 8 + BEGIN_VOTES, 7 + BEGIN_VOTES])
    monkeypatch.setattr(live_totals, "offset_ranges", lambda *_: {0: OffsetRange(0, next(ends))})
    queries = [*(FakeQuery(lambda: True) for _ in range(3)), FakeQuery(totals.next)]
    triggers = run_in_real_time(monkeypatch, totals, *queries)
    assert triggers == ["available-now"] * 3 + ["real-time"]
    assert totals.counted == {0: 7}
    assert all(query.stopped for query in queries)


@pytest.mark.parametrize(
    ("waiting", "counted", "leaves"),
    [
        (LEAVE_VOTES + 1, RECOUNT_VOTES, True),
        (LEAVE_VOTES, RECOUNT_VOTES, False),
        (LEAVE_VOTES + 1, RECOUNT_VOTES + 1, False),
        (RECOUNT_VOTES + 1, RECOUNT_VOTES + 1, True),
    ],
)
def test_real_time_mode_is_left_when_many_votes_wait(
    monkeypatch: pytest.MonkeyPatch, spark: FakeSpark, waiting: int, counted: int, leaves: bool
) -> None:
    """For micro-batches, but not if these would count many votes again."""
    totals = FakeTotals([(True, False)], each=counted, behind=waiting)
    queries = [FakeQuery(lambda: True), FakeQuery(totals.next), FakeQuery(stop)]
    triggers = run_in_real_time(monkeypatch, totals, *queries)
    assert triggers == ["available-now", "real-time"] + ["available-now"] * leaves


def test_real_time_mode_is_left_after_a_checkpoint(
    monkeypatch: pytest.MonkeyPatch, spark: FakeSpark
) -> None:
    """However many votes were counted before it, because they are not counted again."""
    each = RECOUNT_VOTES + 1
    totals = FakeTotals([(True, False)] * 20, each=each, behind=LEAVE_VOTES + 1)
    query = FakeQuery(totals.next)

    def count_until_the_checkpoint() -> None:
        totals.next()
        if totals.look == 8:
            query.recentProgress.append(batch(0))

    query.while_waiting = count_until_the_checkpoint
    queries = [FakeQuery(lambda: True), query, FakeQuery(stop)]
    triggers = run_in_real_time(monkeypatch, totals, *queries)
    assert triggers == ["available-now", "real-time", "available-now"]
    assert totals.votes == 9 * each


def test_an_outage_in_real_time_mode_is_caught_up(
    monkeypatch: pytest.MonkeyPatch, spark: FakeSpark
) -> None:
    """By micro-batches again."""
    totals = FakeTotals([(True, True)])
    caught_up = FakeQuery(lambda: True)
    triggers = run_in_real_time(
        monkeypatch, totals, caught_up, fails_with(OUTAGE), caught_up, FakeQuery(totals.next)
    )
    assert triggers == ["available-now", "real-time"] * 2


def test_votes_are_logged_while_a_real_time_batch_runs(
    monkeypatch: pytest.MonkeyPatch, spark: FakeSpark
) -> None:
    """As they are counted, and the batch when it has ended."""
    totals = FakeTotals([(True, False), (False, True), (True, True)])
    query = FakeQuery(totals.next, recentProgress=[batch(3, 15)])
    with capture_logs() as logs:
        run_in_real_time(monkeypatch, totals, FakeQuery(lambda: True), query)
    counted = [entry["votes"] for entry in logs if entry["event"] == "counted"]
    assert counted == [5, 5]
    (written,) = (entry for entry in logs if entry["event"] == "checkpoint written")
    assert (written["batch"], written["votes"]) == (3, 15)


@pytest.mark.parametrize(
    ("written", "complete", "beats"),
    [(True, False, True), (False, True, True), (False, False, False)],
)
def test_the_heartbeat_in_real_time_mode_is_that_of_the_totals(
    monkeypatch: pytest.MonkeyPatch,
    spark: FakeSpark,
    tmp_path: Path,
    written: bool,
    complete: bool,
    beats: bool,
) -> None:
    """New totals update it, or that no vote waits; not that a batch runs."""
    heartbeat = tmp_path / "heartbeat"
    totals = FakeTotals([(written, complete)])
    query = FakeQuery(totals.next)
    run_in_real_time(monkeypatch, totals, FakeQuery(lambda: True), query, heartbeat=heartbeat)
    assert heartbeat.exists() is beats


def test_the_checkpoint_of_an_older_version_is_named(
    monkeypatch: pytest.MonkeyPatch, spark: FakeSpark, tmp_path: Path
) -> None:
    """Real-time mode cannot continue it: the message says what to do."""
    error = StreamingQueryException("[STREAMING_REAL_TIME_MODE.CHECKPOINT_FORMAT_V1_NOT_SUPPORTED]")
    with pytest.raises(FatalError, match=f"{tmp_path}/ID, which an older version.*delete it"):
        run_in_real_time(
            monkeypatch,
            FakeTotals([]),
            FakeQuery(lambda: True),
            fails_with(error),
            checkpoint=str(tmp_path),
        )
