"""Deciding on a batch: one database transaction, after which every decision is final."""

from collections.abc import Callable, Sequence

import attrs
import psycopg
import stamina
import structlog

from voting_consumer.settings import ConsumerSettings
from voting_consumer.validation import (
    ElectionRules,
    Record,
    duplicate_ballot,
    read_ballots,
    reject,
    validate,
)
from voting_core.database import connect, voter_register
from voting_core.database import decisions as stored_decisions
from voting_core.database.decisions import RecordRange
from voting_core.exceptions import UnreachableError
from voting_core.models import Reason, Rejection, StoredVote
from voting_core.rules import ChoiceDraw

__all__ = ["DecidedRange", "Decider"]

RETRY_SECONDS = 240.0
"""Shorter than max.poll.interval.ms (300 s): giving up comes before the group gives up on us."""

HOLD_SECONDS = 10
"""A consumer that is paused in its transaction holds up who takes over for at most this long."""

log = structlog.get_logger()


@attrs.frozen
class DecidedRange:
    """What the tables hold for consecutive records of one partition."""

    records: RecordRange
    votes: list[StoredVote]
    rejections: list[Rejection]


class Decider:
    """Decides on batches, over one database connection that is renewed when it breaks."""

    def __init__(self, settings: ConsumerSettings, stopping: Callable[[], bool]) -> None:
        """Connect.

        Args:
            settings: Where the database is, how choices are drawn and when polls are open.
            stopping: Whether the service is asked to stop, which ends retries.

        Raises:
            UnreachableError: The database does not answer.
        """
        self._settings = settings
        self._stopping = stopping
        self._connection: psycopg.Connection | None = self._connect()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def decide(
        self, records: Sequence[Record], ranges: Sequence[RecordRange]
    ) -> list[DecidedRange]:
        """Decide on the records that are not decided yet, and return what the tables hold.

        A broken connection, a restart of the server or a deadlock is retried: what was committed
        is found again, what was not is decided anew.

        Args:
            records: Lowest offset first within each partition.
            ranges: What they span, a range for each partition.

        Raises:
            UnreachableError: The database has not answered for four minutes.
        """
        for attempt in stamina.retry_context(
            on=self._may_retry, attempts=None, timeout=RETRY_SECONDS, wait_max=5.0
        ):
            with attempt:
                return self._decide(records, ranges)
        raise AssertionError("unreachable")

    def _may_retry(self, error: Exception) -> bool:
        passing = (
            psycopg.OperationalError,
            psycopg.errors.ForeignKeyViolation,
            psycopg.errors.IdleInTransactionSessionTimeout,
            UnreachableError,
        )
        if not isinstance(error, passing):
            return False
        log.warning("database trouble", error=str(error).strip())
        if self._connection is not None and self._connection.broken:
            self._connection.close()
            self._connection = None
        return not self._stopping()

    def _connect(self) -> psycopg.Connection:
        connection = connect(self._settings.database, application="voting-consumer")
        connection.execute(f"SET idle_in_transaction_session_timeout = '{HOLD_SECONDS}s'")
        return connection

    def _decide(
        self, records: Sequence[Record], ranges: Sequence[RecordRange]
    ) -> list[DecidedRange]:
        if self._connection is None:
            self._connection = self._connect()
        conn = self._connection
        with conn.transaction():
            stored_decisions.lock_partitions(conn, ranges)
            decided = {r.partition: stored_decisions.decided_offsets(conn, r) for r in ranges}
            undecided = [
                record
                for record in records
                if record.coordinates.offset not in decided[record.coordinates.partition]
            ]
            self.decide_undecided(conn, undecided)
            return [
                DecidedRange(
                    r,
                    stored_decisions.read_votes(conn, r),
                    stored_decisions.read_rejections(conn, r),
                )
                for r in ranges
            ]

    def decide_undecided(self, conn: psycopg.Connection, records: Sequence[Record]) -> None:
        """Decide on all, or on one half after the other when the database refuses a row."""
        try:
            with conn.transaction():
                self._decide_together(conn, records)
        except psycopg.errors.ForeignKeyViolation:
            # A voter or candidate was deleted since they were looked up: look again.
            raise
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if len(records) > 1:
                middle = len(records) // 2
                self.decide_undecided(conn, records[:middle])
                self.decide_undecided(conn, records[middle:])
                return
            refusal = str(error).splitlines()[0].replace("\0", "")
            log.warning("the database refused a ballot", error=refusal)
            detail = f"refused by the database: {refusal}"
            stored_decisions.insert_rejections(
                conn, [reject(records[0], None, Reason.MALFORMED, detail)]
            )

    def _decide_together(self, conn: psycopg.Connection, records: Sequence[Record]) -> None:
        well_formed, rejections = read_ballots(records)
        voters = voter_register.find_voters(conn, [ballot.voter_id for ballot in well_formed])
        votes, invalid = validate(well_formed, voters, self._rules(conn))
        stored = stored_decisions.insert_votes(conn, votes)
        of_record = {ballot.record.coordinates: ballot for ballot in well_formed}
        repeated = [
            duplicate_ballot(of_record[vote.coordinates])
            for vote in votes
            if vote.voter_id not in stored
        ]
        stored_decisions.insert_rejections(conn, [*rejections, *invalid, *repeated])

    def _rules(self, conn: psycopg.Connection) -> ElectionRules:
        candidate_ids = voter_register.candidates(conn).keys()
        draw = self._settings.draw
        return ElectionRules(
            candidate_ids,
            ChoiceDraw.over(candidate_ids, draw.seed, draw.weights),
            self._settings.polls.hours,
        )
