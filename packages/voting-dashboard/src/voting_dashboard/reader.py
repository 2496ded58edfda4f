"""The one reader behind all visitors: two threads that follow Kafka and PostgreSQL.

Each keeps what it has read and publishes immutable snapshots; neither depends on the page. After an
error a thread publishes the problem and retries with a growing delay, while the last results stay.
"""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from typing import Any

import attrs
import structlog

from voting_core.aggregates import AggregateView
from voting_core.exceptions import SerializationError, VotingError
from voting_dashboard.sources import AggregateRecord, AggregateSource, RegisterSource
from voting_dashboard.view_model import (
    Snapshot,
    VoterRegister,
    VoteTotals,
    election_results,
    vote_totals,
)

log = structlog.get_logger()


@attrs.frozen
class Intervals:
    """The reader's intervals, in seconds.

    Attributes:
        poll: Maximum wait for records, which bounds the delay of a snapshot.
        topic_check: Between two checks that the topics are still the same.
        register: Minimum pause between two reads of the register.
        register_share: Maximum share of the time spent reading the register, 0 to 1.
        retry_initial: Wait after the first error; it doubles with each further one.
        retry_max: Maximum wait after an error.
    """

    poll: float = 0.5
    topic_check: float = 3.0
    register: float = 2.0
    register_share: float = 0.05
    retry_initial: float = 0.5
    retry_max: float = 5.0

    def register_pause(self, spent: float) -> float:
        """Return the pause after a read of the register that took `spent` seconds."""
        return max(self.register, spent * (1 / self.register_share - 1))


class Reader:
    """Follows the totals and the register in the background; safe for use by several threads."""

    def __init__(
        self,
        open_aggregates: Callable[[], AggregateSource],
        open_register: Callable[[], RegisterSource],
        intervals: Intervals | None = None,
    ) -> None:
        """Prepare the threads; `start` starts them.

        Each source is opened again after an error.
        """
        self._open_aggregates = open_aggregates
        self._open_register = open_register
        self._intervals = intervals or Intervals()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._totals = VoteTotals()
        self._register: VoterRegister | None = None
        self._snapshot = Snapshot()
        self._votes_topic_id: str | None = None
        # Daemons, because they leave nothing unfinished when the process ends.
        self._threads = [
            threading.Thread(target=self._run, args=args, name=f"read-{args[1]}", daemon=True)
            for args in (
                (self._follow_aggregates, "aggregates", "kafka_problem"),
                (self._follow_register, "register", "database_problem"),
            )
        ]

    def start(self) -> None:
        """Start to read."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Stop reading; wait for the threads for at most `timeout` seconds.

        A thread that is blocked in a call ends after the call.
        """
        self._stop.set()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def snapshot(self) -> Snapshot:
        """Return the latest snapshot; the same object until something changes."""
        with self._lock:
            return self._snapshot

    def _publish(
        self,
        totals: VoteTotals | None = None,
        register: VoterRegister | None = None,
        **changes: Any,
    ) -> None:
        with self._lock:
            self._totals = totals or self._totals
            self._register = register or self._register
            results = election_results(self._totals, self._register)
            newest = self._totals.newest
            after = attrs.evolve(self._snapshot, results=results, newest=newest, **changes)
            if after != self._snapshot:
                self._snapshot = after

    def _run(self, follow: Callable[[], None], source: str, problem: str) -> None:
        wait, logged = self._intervals.retry_initial, None
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                follow()
                message = None
            except VotingError as error:
                message = str(error)
                if message != logged:
                    log.warning("cannot read", source=source, reason=message)
            except Exception:
                message = "unexpected error, see the log"
                log.exception("cannot read", source=source)
            if message is not None:
                changes: dict[str, Any] = {problem: message}
                self._publish(**changes)
            logged = message
            if message is None or time.monotonic() - started > 2 * self._intervals.retry_max:
                wait = self._intervals.retry_initial
            self._stop.wait(wait)
            wait = min(2 * wait, self._intervals.retry_max)

    def _follow_aggregates(self) -> None:
        with closing(self._open_aggregates()) as source:
            if self._votes_topic_id not in (None, source.votes_topic_id):
                log.info("votes_topic was recreated", votes_topic_id=source.votes_topic_id)
                self._publish(totals=VoteTotals(), caught_up=False)
            self._votes_topic_id = source.votes_topic_id
            view = AggregateView(source.votes_topic_id)
            newest: datetime | None = None
            changed = True
            checked = time.monotonic()
            while not self._stop.is_set():
                for record in source.poll(self._intervals.poll):
                    if _apply(view, record):
                        changed = True
                        newest = max(filter(None, (newest, record.written)), default=None)
                # Before that, totals could be lower than those already shown.
                if changed and source.caught_up:
                    totals = vote_totals(view, newest)
                    self._publish(totals=totals, caught_up=True, kafka_problem=None)
                    changed = False
                if time.monotonic() - checked >= self._intervals.topic_check:
                    if not source.is_current():
                        return
                    checked = time.monotonic()

    def _follow_register(self) -> None:
        with closing(self._open_register()) as source:
            while not self._stop.is_set():
                started = time.monotonic()
                register = source.read()
                spent = time.monotonic() - started
                self._publish(register=register, database_problem=None)
                self._stop.wait(self._intervals.register_pause(spent))


def _apply(view: AggregateView, record: AggregateRecord) -> bool:
    try:
        return view.apply(record.topic, record.key, record.value)
    except (SerializationError, KeyError, TypeError) as error:
        # One invalid record must not hide the others.
        log.warning("skipped a record", topic=record.topic, reason=repr(error))
        return False
