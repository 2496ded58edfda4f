"""The one reader behind all visitors: two threads that follow the totals and the register.

Totals are published only when they are proven. Every accepted vote is stored in PostgreSQL before
it can be counted, so the sum of a grouping of the totals never exceeds the number of votes that
PostgreSQL has afterwards. A thread therefore reads totals from Kafka, then asks PostgreSQL for its
number of votes, and publishes an immutable snapshot if no sum exceeds it. Otherwise the last proven
results stay, an incident is recorded, and the topics are read from their beginnings again, until
the foreign total is gone.

After any error a thread publishes the problem and retries with a growing delay, while the last
proven results stay. Neither thread depends on the page.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import attrs
import structlog

from voting_core.aggregates import AggregateView, unproven_totals
from voting_core.election import Election
from voting_core.exceptions import SerializationError, VotingError
from voting_core.service.outage import OutageLog
from voting_core.topics import VOTES
from voting_dashboard.foreign_records import ForeignRecordLog
from voting_dashboard.sources import RegisterSource, TotalsSource, problem_of
from voting_dashboard.view_model import (
    AcceptedVotes,
    Problem,
    Snapshot,
    VoterRegister,
    VoteTotals,
    election_results,
    vote_totals,
)

log = structlog.get_logger()


class UnprovenTotalsError(VotingError):
    """The totals exceed the accepted votes, so something other than the stream wrote some of them.

    Attributes:
        is_recorded: Whether an incident is recorded.
    """

    def __init__(self, message: str, *, is_recorded: bool) -> None:
        super().__init__(message)
        self.is_recorded = is_recorded


class _Outages:
    """The outages of one source, by their problems; each is logged at most once a minute."""

    def __init__(self, source: str) -> None:
        self._logs = {
            problem: OutageLog(f"{source} ({problem.name.lower().replace('_', ' ')})")
            for problem in Problem
        }

    def failed(self, error: Exception) -> Problem:
        """Log an error and return what it means for the page."""
        if isinstance(error, UnprovenTotalsError):
            problem = Problem.UNPROVEN if error.is_recorded else Problem.UNPROVEN_NOT_RECORDED
        else:
            problem = problem_of(error)
        outage = self._logs[problem]
        if problem is Problem.UNEXPECTED and not outage.is_out:
            log.exception("unexpected error")
        outage.failed(error)
        return problem

    def recovered(self) -> None:
        """Log the end of each outage."""
        for outage in self._logs.values():
            outage.recovered()


@attrs.frozen
class Intervals:
    """The reader's intervals, in seconds.

    Attributes:
        poll: Maximum wait for records, which bounds the delay of a snapshot.
        topic_check: Between two checks that the topics are still the same.
        proof: Minimum pause between two counts of the votes in PostgreSQL.
        register: Minimum pause between two reads of the register.
        query_share: Maximum share of the time spent in either of these queries, 0 to 1, because
            they read a whole table.
        usual_lag: Within which an accepted vote is usually counted. Longer than a restart of the
            stream or a rebalance of the consumers takes, during which votes wait.
        stalled: Without a response for this long, the results are not up to date.
        retry_initial: Wait after the first error; it doubles with each further one.
        retry_max: Maximum wait after an error.
        reread_max: Maximum wait before unproven totals are read again.
    """

    poll: float = 0.5
    topic_check: float = 3.0
    proof: float = 1.0
    register: float = 2.0
    query_share: float = 0.05
    usual_lag: float = 60.0
    stalled: float = 30.0
    retry_initial: float = 0.5
    retry_max: float = 5.0
    reread_max: float = 30.0

    def proof_pause(self, spent: float) -> float:
        """Return the pause after a count of the votes that took `spent` seconds."""
        return max(self.proof, self._pause(spent))

    def register_pause(self, spent: float) -> float:
        """Return the pause after a read of the register that took `spent` seconds."""
        return max(self.register, self._pause(spent))

    def _pause(self, spent: float) -> float:
        return spent * (1 / self.query_share - 1)


class Reader:
    """Follows the totals and the register in the background; safe for use by several threads."""

    def __init__(
        self,
        open_totals: Callable[[], TotalsSource],
        open_register: Callable[[], RegisterSource],
        intervals: Intervals | None = None,
    ) -> None:
        """Prepare the threads; `start` starts them.

        Each source is opened again after an error.
        """
        self._open_totals = open_totals
        self._open_register = open_register
        self._intervals = intervals or Intervals()
        self._stop = threading.Event()
        self._register_due = threading.Event()
        self._lock = threading.Lock()
        self._snapshot = Snapshot()
        self._totals = VoteTotals()
        self._register: VoterRegister | None = None
        self._election: Election | None = None
        # These belong to the thread that follows the totals.
        self._foreign = ForeignRecordLog()
        self._accepted = AcceptedVotes(self._intervals.usual_lag)
        self._next_proof = time.monotonic()
        self._proven_at: datetime | None = None
        self._responded = time.monotonic()
        self._totals_outages = _Outages("the totals")
        self._register_outages = _Outages("the voter register")
        # Daemons, because they leave nothing unfinished when the process ends.
        self._threads = [
            threading.Thread(target=self._run, args=args, name=name, daemon=True)
            for name, *args in (
                ("read-totals", self._follow_totals, self._totals_failed),
                ("read-register", self._follow_register, self._register_failed),
            )
        ]

    def start(self) -> None:
        """Start to read."""
        self._responded = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Stop reading; wait for the threads for at most `timeout` seconds.

        A thread that is blocked in a call ends after the call.
        """
        self._stop.set()
        self._register_due.set()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def snapshot(self) -> Snapshot:
        """Return the latest snapshot; the same object until something changes."""
        with self._lock:
            snapshot, responded = self._snapshot, self._responded
        is_stalled = time.monotonic() - responded > self._intervals.stalled
        if is_stalled and snapshot.problem is None:
            return attrs.evolve(snapshot, problem=Problem.STALLED, as_of=self._proven_at)
        return snapshot

    def _run(self, follow: Callable[[], None], failed: Callable[[Exception], Problem]) -> None:
        wait = self._intervals.retry_initial
        while not self._stop.is_set():
            started = time.monotonic()
            limit = self._intervals.retry_max
            try:
                follow()
                wait = self._intervals.retry_initial
            except Exception as error:
                if time.monotonic() - started > 2 * limit:
                    wait = self._intervals.retry_initial
                if failed(error) in (Problem.UNPROVEN, Problem.UNPROVEN_NOT_RECORDED):
                    limit = self._intervals.reread_max
            self._stop.wait(wait)
            wait = min(2 * wait, limit)

    def _follow_totals(self) -> None:
        with closing(self._open_totals()) as source:
            self._begin(source.election)
            view = AggregateView(source.election.topic_ids[VOTES.name])
            newest: datetime | None = None
            checked = time.monotonic()
            while not self._stop.is_set():
                newest = self._read(source, view, newest)
                # Before that, totals could be lower than those already shown.
                if source.caught_up and time.monotonic() >= self._next_proof:
                    self._prove(source, view, newest)
                if time.monotonic() - checked >= self._intervals.topic_check:
                    if not source.is_current():
                        return
                    checked = time.monotonic()
                self._responded = time.monotonic()

    def _begin(self, election: Election) -> None:
        """Forget the results of another election, or of topics that were recreated."""
        before, self._election = self._election, election
        if before is None or _identity(before) == _identity(election):
            return
        log.info("another election, or recreated topics", election_id=election.election_id)
        self._foreign = ForeignRecordLog()
        self._accepted = AcceptedVotes(self._intervals.usual_lag)
        self._next_proof = time.monotonic()
        self._proven_at = None
        with self._lock:
            self._totals = VoteTotals()
            self._snapshot = Snapshot(register_problem=self._snapshot.register_problem)
            self._combine()
        self._register_due.set()

    def _read(
        self, source: TotalsSource, view: AggregateView, newest: datetime | None
    ) -> datetime | None:
        """Apply new records to the view; return when the newest of its totals was written."""
        latest = -1
        for record in source.poll(self._intervals.poll):
            try:
                is_raised = view.apply(record.topic, record.key, record.value)
            except SerializationError as error:
                self._foreign.add(record, str(error))
                continue
            if is_raised and record.written is not None:
                latest = max(latest, record.written)
        if latest < 0:
            return newest
        # A client may write any time, even one in the future.
        now = datetime.now(UTC)
        written = datetime.fromtimestamp(min(latest / 1000, now.timestamp()), UTC)
        return written if newest is None else max(newest, written)

    def _prove(self, source: TotalsSource, view: AggregateView, newest: datetime | None) -> None:
        """Publish the totals that were read, if the votes in PostgreSQL prove them.

        Raises:
            UnprovenTotalsError: They do not.
        """
        started = time.monotonic()
        accepted = source.accepted_votes()
        counted_at = time.monotonic()
        self._next_proof = counted_at + self._intervals.proof_pause(counted_at - started)
        unproven = unproven_totals(view.sums(), accepted)
        # The totals of deleted topics prove nothing about the election.
        if unproven and source.is_current():
            raise _record_unproven(source, unproven)
        if unproven:
            return
        totals = vote_totals(view, newest)
        self._accepted.add(counted_at, accepted)
        self._proven_at = datetime.now(UTC)
        with self._lock:
            self._totals = totals
            self._combine(
                newest=newest,
                behind=self._accepted.behind(totals.sum),
                caught_up=True,
                problem=None,
                as_of=None,
            )
        self._totals_outages.recovered()

    def _follow_register(self) -> None:
        with closing(self._open_register()) as source:
            while not self._stop.is_set():
                self._register_due.clear()
                started = time.monotonic()
                register = source.read()
                spent = time.monotonic() - started
                with self._lock:
                    self._register = register
                    self._combine(register_problem=None)
                self._register_outages.recovered()
                self._register_due.wait(self._intervals.register_pause(spent))

    def _totals_failed(self, error: Exception) -> Problem:
        problem = self._totals_outages.failed(error)
        self._responded = time.monotonic()
        with self._lock:
            self._combine(problem=problem, as_of=self._proven_at)
        return problem

    def _register_failed(self, error: Exception) -> Problem:
        problem = self._register_outages.failed(error)
        with self._lock:
            self._combine(register_problem=problem)
        return problem

    def _combine(self, **changes: Any) -> None:
        """Publish the changes and the results; the lock must be held."""
        register = self._register
        # Each thread notices on its own that the election has changed.
        if register and self._election and register.election_id != self._election.election_id:
            register = None
        results = election_results(self._totals, register)
        after = attrs.evolve(self._snapshot, results=results, **changes)
        if after != self._snapshot:
            self._snapshot = after


def _identity(election: Election) -> tuple[str, dict[str, str]]:
    return election.election_id, dict(election.topic_ids)


def _record_unproven(source: TotalsSource, unproven: Mapping[str, str]) -> UnprovenTotalsError:
    """Record an incident about each topic, and return the error that describes all."""
    recorded = [source.record_unproven(topic, detail) for topic, detail in unproven.items()]
    described = "; ".join(f"{topic}: {detail}" for topic, detail in unproven.items())
    return UnprovenTotalsError(described, is_recorded=all(recorded))
