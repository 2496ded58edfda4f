"""The one reader behind all visitors: two threads that follow Kafka and PostgreSQL.

Each keeps what it read and publishes immutable snapshots; neither knows of the page. After an
error a thread says what is wrong in the snapshot, waits a little longer each time, and begins
anew, while the last figures stay.
"""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import attrs
import structlog

from voting_core.aggregates import AggregateView
from voting_core.exceptions import SerializationError, VotingError
from voting_dashboard.snapshot import Snapshot
from voting_dashboard.sources import CountSource, Record, RegisterSource
from voting_dashboard.tally import Count, Register, count_of, results_of

__all__ = ["Pace", "Reader"]

_log = structlog.get_logger()


@attrs.frozen
class Pace:
    """How often things happen, in seconds.

    Attributes:
        poll: Longest wait for records, and so between a record and its snapshot.
        check: Between two looks at whether the topics are still the same.
        register: Shortest time between two reads of the register.
        register_share: Largest share of the time spent in reading the register.
        retry_first: Wait after a first error; it doubles with each further one.
        retry_longest: Longest such wait.
    """

    poll: float = 0.5
    check: float = 3.0
    register: float = 2.0
    register_share: float = 0.05
    retry_first: float = 0.5
    retry_longest: float = 5.0

    def before_register(self, spent: float) -> float:
        """Return how long to leave the register alone after a read that took `spent`."""
        return max(self.register, spent * (1 / self.register_share - 1))


@attrs.frozen
class _State:
    count: Count = attrs.field(factory=Count)
    register: Register | None = None
    caught_up: bool = False
    kafka_problem: str | None = None
    database_problem: str | None = None


class Reader:
    """Follows the count and the register in the background; for use by any number of threads."""

    def __init__(
        self,
        open_count: Callable[[], CountSource],
        open_register: Callable[[], RegisterSource],
        pace: Pace | None = None,
    ) -> None:
        """Prepare; `start` begins to read.

        Args:
            open_count: Begins to read the aggregate topics; called again after an error.
            open_register: Connects to the register; called again after an error.
            pace: How often things happen.
        """
        self._open_count = open_count
        self._open_register = open_register
        self._pace = pace or Pace()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._state = _State()
        self._snapshot = Snapshot()
        self._votes_topic_id: str | None = None
        # The process may end at any time: nothing here has to be finished first.
        self._threads = [
            threading.Thread(target=self._run, args=args, name=f"read-{args[1]}", daemon=True)
            for args in (
                (self._follow_count, "count", "kafka_problem"),
                (self._follow_register, "register", "database_problem"),
            )
        ]

    def start(self) -> None:
        """Begin to read."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Stop reading; a thread that is waiting for an answer is left to end by itself."""
        self._stop.set()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def snapshot(self) -> Snapshot:
        """Return the latest figures; the same object until there are others."""
        with self._lock:
            return self._snapshot

    def _publish(self, **changes: Any) -> None:
        with self._lock:
            state = attrs.evolve(self._state, **changes)
            if state == self._state:
                return
            same = state.count is self._state.count and state.register is self._state.register
            self._state = state
            self._snapshot = Snapshot(
                results=(
                    self._snapshot.results if same else results_of(state.count, state.register)
                ),
                newest=state.count.newest,
                caught_up=state.caught_up,
                kafka_problem=state.kafka_problem,
                database_problem=state.database_problem,
            )

    def _run(self, follow: Callable[[], None], what: str, problem: str) -> None:
        log = _log.bind(reading=what)
        wait, said = self._pace.retry_first, None
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                follow()
                message = None
            except VotingError as error:
                message = str(error)
                if message != said:
                    log.warning("cannot read", reason=message)
            except Exception:
                message = "an unexpected error, which the log describes"
                log.exception("cannot read")
            if message is not None:
                self._publish(**{problem: message})
            said = message
            if message is None or time.monotonic() - began > 2 * self._pace.retry_longest:
                wait = self._pace.retry_first
            self._stop.wait(wait)
            wait = min(2 * wait, self._pace.retry_longest)

    def _follow_count(self) -> None:
        source = self._open_count()
        try:
            if self._votes_topic_id not in (None, source.votes_topic_id):
                _log.info("another election: counting anew")
                self._publish(count=Count(), caught_up=False)
            self._votes_topic_id = source.votes_topic_id
            view = AggregateView(source.votes_topic_id)
            newest: datetime | None = None
            changed = True
            checked = time.monotonic()
            while not self._stop.is_set():
                for record in source.poll(self._pace.poll):
                    if _apply(view, record):
                        changed = True
                        newest = max(filter(None, (newest, record.written)), default=None)
                # Half of what the topics hold would look like votes taken back.
                if changed and source.caught_up:
                    count = count_of(view, newest)
                    self._publish(count=count, caught_up=True, kafka_problem=None)
                    changed = False
                if time.monotonic() - checked >= self._pace.check:
                    if not source.is_current():
                        return
                    checked = time.monotonic()
        finally:
            source.close()

    def _follow_register(self) -> None:
        source = self._open_register()
        try:
            while not self._stop.is_set():
                began = time.monotonic()
                register = source.read()
                spent = time.monotonic() - began
                self._publish(register=register, database_problem=None)
                self._stop.wait(self._pace.before_register(spent))
        finally:
            source.close()


def _apply(view: AggregateView, record: Record) -> bool:
    try:
        return view.apply(record.topic, record.key, record.value)
    except (SerializationError, KeyError, TypeError) as error:
        # One bad record must not hide the others for ever.
        _log.warning("passed over a record", topic=record.topic, reason=repr(error))
        return False
