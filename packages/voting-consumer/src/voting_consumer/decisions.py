"""Deciding on a batch: one database transaction, after which every decision is final."""

from collections.abc import Callable, Sequence

import attrs
import psycopg
import structlog

from voting_consumer.settings import ConsumerSettings
from voting_consumer.validation import (
    BallotRecord,
    ElectionRules,
    duplicate_ballot,
    read_ballots,
    reject,
    validate,
)
from voting_core.database import RetryingConnection, RetryPolicy, voter_register
from voting_core.database import decisions as stored_decisions
from voting_core.database.decisions import RecordRange
from voting_core.database.migrations import check_schema
from voting_core.models import Reason, Rejection, StoredVote
from voting_core.rules import ChoiceDraw

RETRY_SECONDS = 240.0
"""Shorter than max.poll.interval.ms (300 s): the consumer gives up before the group removes it."""

IDLE_IN_TRANSACTION_SECONDS = 10
"""Longest time for which a consumer that is paused in its transaction blocks its successor."""

log = structlog.get_logger()


@attrs.frozen
class DecidedRange:
    """The stored decisions on consecutive records of one partition."""

    records: RecordRange
    votes: list[StoredVote]
    rejections: list[Rejection]


class Decider:
    """Decides on batches over one database connection."""

    def __init__(self, settings: ConsumerSettings, should_stop: Callable[[], bool]) -> None:
        """Connect; retries end as soon as `should_stop` returns True.

        Raises:
            UnreachableError: The database is unreachable.
            SchemaError: The schema is older than needed.
        """
        self._settings = settings
        self._connection = RetryingConnection(
            settings.database,
            application="voting-consumer",
            policy=RetryPolicy(timeout=RETRY_SECONDS),
            should_stop=should_stop,
            retry_on=(
                # A voter or candidate was deleted after the lookup.
                psycopg.errors.ForeignKeyViolation,
                psycopg.errors.IdleInTransactionSessionTimeout,
            ),
            prepare=_prepare,
        )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def decide(
        self, records: Sequence[BallotRecord], ranges: Sequence[RecordRange]
    ) -> list[DecidedRange]:
        """Decide on the records without a decision, and return the stored decisions on all.

        The transaction is retried after a broken connection, a restart of the server or a
        deadlock: it finds the decisions that were committed, and makes the others again.

        Args:
            records: In offset order within each partition.
            ranges: The offsets of the records, a range for each partition.

        Raises:
            UnreachableError: The database has been unavailable for four minutes.
        """
        return self._connection.run(lambda conn: self._decide(conn, records, ranges))

    def decide_new(self, conn: psycopg.Connection, records: Sequence[BallotRecord]) -> None:
        """Decide on records that have no decision.

        If the database refuses a value, each half is decided separately, down to the one record
        that it belongs to, which is rejected.
        """
        try:
            with conn.transaction():
                self._decide_together(conn, records)
        except psycopg.errors.ForeignKeyViolation:
            # No value is at fault: the whole transaction is retried.
            raise
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if len(records) > 1:
                middle = len(records) // 2
                self.decide_new(conn, records[:middle])
                self.decide_new(conn, records[middle:])
                return
            refusal = str(error).splitlines()[0].replace("\0", "")
            log.warning("the database refused a ballot", error=refusal)
            detail = f"refused by the database: {refusal}"
            stored_decisions.insert_rejections(
                conn, [reject(records[0], None, Reason.MALFORMED, detail)]
            )

    def _decide(
        self,
        conn: psycopg.Connection,
        records: Sequence[BallotRecord],
        ranges: Sequence[RecordRange],
    ) -> list[DecidedRange]:
        with conn.transaction():
            stored_decisions.lock_partitions(conn, ranges)
            decided = {r.partition: stored_decisions.decided_offsets(conn, r) for r in ranges}
            undecided = [
                record
                for record in records
                if record.coordinates.offset not in decided[record.coordinates.partition]
            ]
            self.decide_new(conn, undecided)
            return [
                DecidedRange(
                    r,
                    stored_decisions.read_votes(conn, r),
                    stored_decisions.read_rejections(conn, r),
                )
                for r in ranges
            ]

    def _decide_together(self, conn: psycopg.Connection, records: Sequence[BallotRecord]) -> None:
        ballots, malformed = read_ballots(records)
        voters = voter_register.find_voters(conn, [ballot.voter_id for ballot in ballots])
        votes, invalid = validate(ballots, voters, self._rules(conn))
        stored = stored_decisions.insert_votes(conn, votes)
        by_coordinates = {ballot.record.coordinates: ballot for ballot in ballots}
        duplicates = [
            duplicate_ballot(by_coordinates[vote.coordinates])
            for vote in votes
            if vote.voter_id not in stored
        ]
        stored_decisions.insert_rejections(conn, [*malformed, *invalid, *duplicates])

    def _rules(self, conn: psycopg.Connection) -> ElectionRules:
        candidate_ids = voter_register.candidates(conn).keys()
        draw = self._settings.draw
        return ElectionRules(
            candidate_ids,
            ChoiceDraw.over(candidate_ids, draw.seed, draw.weights),
            self._settings.polls.hours,
        )


def _prepare(conn: psycopg.Connection) -> None:
    check_schema(conn)
    conn.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_SECONDS}s'")
