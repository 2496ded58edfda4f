"""The service, with Spark and Kafka replaced."""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import structlog
from pyspark.errors import StreamingQueryException

from voting_core.exceptions import FatalError
from voting_core.service.java import Java
from voting_stream import service
from voting_stream.settings import StreamSettings

PROGRESS = {
    "batchId": 0,
    "numInputRows": 5,
    "processedRowsPerSecond": 2.5,
    "durationMs": {"triggerExecution": 7},
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

    def stop(self) -> None:
        """Stop."""
        self.stopped = True


@attrs.define
class FakeQuery:
    """A query that does something while the service waits for its end."""

    while_waiting: Callable[[], object]
    stopped: bool = False
    lastProgress: dict[str, Any] = attrs.field(factory=PROGRESS.copy)
    status: dict[str, Any] = attrs.field(factory=lambda: {"isTriggerActive": True})

    def awaitTermination(self, timeout: int) -> bool:
        """Wait for the end."""
        self.while_waiting()
        return False

    def stop(self) -> None:
        """Stop."""
        self.stopped = True


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    """Restore what the service configures for its process."""
    root = logging.getLogger()
    before = root.handlers, root.level
    yield
    root.handlers, root.level = before
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


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

    monkeypatch.setattr(service, "find_java", lambda _: Java(Path("java"), 17, "17"))
    monkeypatch.setattr(service, "connect_admin", lambda _: None)
    monkeypatch.setattr(service, "check_topics", lambda *_: None)
    monkeypatch.setattr(service, "topic_ids", lambda *_: {"votes_topic": "ID"})
    monkeypatch.setattr(service, "start_session", start_session)
    monkeypatch.setattr(service, "lock_checkpoint", lambda *_: None)
    return fake


def run_query(monkeypatch: pytest.MonkeyPatch, query: FakeQuery, **settings: Any) -> None:
    """Run the service with a query."""
    monkeypatch.setattr(service, "start_query", lambda *_: query)
    service.run(StreamSettings(**settings))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_query_and_spark(
    monkeypatch: pytest.MonkeyPatch, spark: FakeSpark, number: signal.Signals
) -> None:
    """The service returns, although Spark has replaced the handler of SIGINT."""
    before = signal.getsignal(signal.SIGINT)
    query = FakeQuery(lambda: os.kill(os.getpid(), number))
    run_query(monkeypatch, query)
    assert query.stopped
    assert spark.stopped
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_start_ends_it_in_order(
    monkeypatch: pytest.MonkeyPatch, spark: FakeSpark, number: signal.Signals
) -> None:
    """Spark is started and stopped, so that its Java process ends; no query is started."""
    monkeypatch.setattr(service, "connect_admin", lambda _: os.kill(os.getpid(), number))
    run_query(monkeypatch, FakeQuery(lambda: pytest.fail("the query was started")))
    assert spark.stopped


def test_a_failed_query_is_fatal(monkeypatch: pytest.MonkeyPatch, spark: FakeSpark) -> None:
    """The error names the first line of the cause, and Spark is stopped."""

    def fail() -> None:
        raise StreamingQueryException("some offsets are lost\nat line 1")

    with pytest.raises(FatalError, match=r"the count stopped: some offsets are lost$"):
        run_query(monkeypatch, FakeQuery(fail))
    assert spark.stopped


def test_the_heartbeat_is_updated_with_each_batch(
    monkeypatch: pytest.MonkeyPatch, spark: FakeSpark, tmp_path: Path
) -> None:
    """A batch that counted votes updates it, and so does a query that waits for votes."""
    path = tmp_path / "heartbeat"
    query = FakeQuery(lambda: os.kill(os.getpid(), signal.SIGTERM))
    query.lastProgress["numInputRows"] = 0
    run_query(monkeypatch, query, heartbeat=path)
    assert not path.exists()
    run_query(monkeypatch, attrs.evolve(query, lastProgress=PROGRESS.copy()), heartbeat=path)
    path.unlink()
    run_query(monkeypatch, attrs.evolve(query, status={"isTriggerActive": False}), heartbeat=path)
    path.unlink()
