"""Deciding on a batch: one database transaction, after which every decision is final."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import attrs
import psycopg
import structlog

from voting_consumer.validation import (
    BallotRecord,
    ElectionRules,
    duplicate_ballot,
    read_ballots,
    reject,
    validate,
)
from voting_core.database import RetryingConnection, voter_register
from voting_core.database import decisions as stored_decisions
from voting_core.database.decisions import RecordRange
from voting_core.database.election import claim_consumer_group
from voting_core.database.migrations import check_schema
from voting_core.election import Election
from voting_core.models import Candidate, Reason, Rejection, StoredVote, Vote
from voting_core.service.identity import check_database_election, check_earlier_decisions
from voting_core.service.settings import DatabaseSettings

IDLE_IN_TRANSACTION_SECONDS = 10
"""Longest time for which a consumer that is paused in its transaction blocks its successor."""

log = structlog.get_logger()


@attrs.frozen
class DecidedRange:
    """The stored decisions on consecutive records of one partition, in offset order."""

    records: RecordRange
    votes: list[StoredVote]
    rejections: list[Rejection]


@attrs.frozen
class _Rules:
    """The rules of the election, for the candidates of a version of their table."""

    election: Election
    version: str
    candidates: Mapping[str, Candidate]
    rules: ElectionRules

    @classmethod
    def read(cls, conn: psycopg.Connection, election: Election) -> "_Rules":
        # A change between the two queries leaves the older version, which `decide` notices.
        version = voter_register.candidates_version(conn)
        candidates = voter_register.candidates(conn)
        return cls(election, version, candidates, ElectionRules.of(election, candidates.keys()))


class _RulesChanged(Exception):
    """The rules or the candidates are others than those by which a batch was decided."""


class Decider:
    """Decides on batches over one database connection."""

    def __init__(
        self,
        settings: DatabaseSettings,
        election: Election,
        group: str,
        should_stop: Callable[[], bool],
    ) -> None:
        """Connect; retries end as soon as `should_stop` returns True.

        Raises:
            UnreachableError: The database is unreachable.
            SchemaError: The schema is older than needed.
            ElectionError: Another consumer group than `group` decides on the ballots.
        """
        self._election = election
        self._group = group
        self._rules: _Rules | None = None
        self._connection = RetryingConnection(
            settings,
            application="voting-consumer",
            should_stop=should_stop,
            # A voter or candidate was deleted after the lookup.
            retry_on=(psycopg.errors.ForeignKeyViolation,),
            prepare=self._prepare,
        )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _prepare(self, conn: psycopg.Connection) -> None:
        check_schema(conn)
        claim_consumer_group(conn, self._group)

    def decide(
        self,
        records: Sequence[BallotRecord],
        ranges: Sequence[RecordRange],
        decided_ends: Mapping[int, int],
    ) -> list[DecidedRange]:
        """Decide on the records without a decision, and return the stored decisions on all.

        The transaction is retried after a broken connection, a restart of the server or a
        deadlock: it finds the decisions that were committed, and makes the others again.

        Args:
            records: In offset order within each partition.
            ranges: The offsets of the records, a range for each partition.
            decided_ends: First offset without a decision that was made before, by partition; 0
                without any. Other partitions than those of the records may be among them.

        Raises:
            ElectionError: The connection leads to another database, or to an older backup.
            UnreachableError: A stop was requested while the database was unavailable.
        """
        return self._connection.run(lambda conn: self._decide(conn, records, ranges, decided_ends))

    def decide_new(
        self, conn: psycopg.Connection, records: Sequence[BallotRecord], rules: ElectionRules
    ) -> tuple[list[Vote], list[Rejection]]:
        """Decide on records that have no decision, and return the decisions that were stored.

        If the database refuses a value, each half is decided separately, down to the one record
        that it belongs to, which is rejected.
        """
        try:
            with conn.transaction():
                return _decide_together(conn, records, rules)
        except psycopg.errors.ForeignKeyViolation:
            # No value is at fault: the whole transaction is retried.
            raise
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if len(records) > 1:
                middle = len(records) // 2
                votes, rejections = self.decide_new(conn, records[:middle], rules)
                more_votes, more_rejections = self.decide_new(conn, records[middle:], rules)
                return votes + more_votes, rejections + more_rejections
            refusal = str(error).splitlines()[0].replace("\0", "")
            log.warning("the database refused a ballot", error=refusal)
            detail = f"refused by the database: {refusal}"
            rejection = reject(records[0], None, Reason.MALFORMED, detail)
            stored_decisions.insert_rejections(conn, [rejection])
            return [], [rejection]

    def _decide(
        self,
        conn: psycopg.Connection,
        records: Sequence[BallotRecord],
        ranges: Sequence[RecordRange],
        decided_ends: Mapping[int, int],
    ) -> list[DecidedRange]:
        while True:
            try:
                return self._decide_once(conn, records, ranges, decided_ends)
            except _RulesChanged:
                self._rules = None
            except psycopg.errors.ForeignKeyViolation:
                # A deleted candidate is still among the known ones.
                self._rules = None
                raise

    def _decide_once(
        self,
        conn: psycopg.Connection,
        records: Sequence[BallotRecord],
        ranges: Sequence[RecordRange],
        decided_ends: Mapping[int, int],
    ) -> list[DecidedRange]:
        topic_id = ranges[0].topic_id
        with conn.transaction():
            conn.execute(
                f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_SECONDS}s'"
            )
            stored_decisions.require_durable_commit(conn)
            election = check_database_election(conn, self._election)
            claim_consumer_group(conn, self._group)
            stored_decisions.lock_partitions(conn, ranges)
            # After a failover or a restore, the same address can lead to an older state.
            check_earlier_decisions(conn, topic_id, decided_ends)
            ends = stored_decisions.decided_ends(conn, topic_id, [r.partition for r in ranges])
            decided = {
                r.partition: stored_decisions.decided_offsets(conn, r)
                for r in ranges
                if ends[r.partition] > r.start
            }
            undecided = _without(records, decided)
            known = self._known_rules(conn, election)
            votes, rejections = self.decide_new(conn, undecided, known.rules)
            # The candidates that got votes are locked by now: they cannot change any more.
            if voter_register.candidates_version(conn) != known.version:
                raise _RulesChanged
            new = _by_partition(ranges, votes, rejections, known.candidates)
            return [
                DecidedRange(
                    r,
                    stored_decisions.read_votes(conn, r),
                    stored_decisions.read_rejections(conn, r),
                )
                if r.partition in decided
                else new[r.partition]
                for r in ranges
            ]

    def _known_rules(self, conn: psycopg.Connection, election: Election) -> _Rules:
        """Return the rules of the election; they are read again when they have changed."""
        if self._rules is None or self._rules.election != election:
            self._rules = _Rules.read(conn, election)
        return self._rules


def _without(
    records: Sequence[BallotRecord], decided: Mapping[int, Collection[int]]
) -> Sequence[BallotRecord]:
    """Return the records whose offsets are not among those of their partition."""
    if not decided:
        return records
    return [
        record
        for record in records
        if record.coordinates.offset not in decided.get(record.coordinates.partition, ())
    ]


def _by_partition(
    ranges: Iterable[RecordRange],
    votes: Iterable[Vote],
    rejections: Iterable[Rejection],
    candidates: Mapping[str, Candidate],
) -> dict[int, DecidedRange]:
    """Return the new decisions on the range of each partition."""
    decided = {each.partition: DecidedRange(each, [], []) for each in ranges}
    for vote in votes:
        candidate = candidates[vote.candidate_id]
        decided[vote.coordinates.partition].votes.append(
            StoredVote(vote, candidate.candidate_name, candidate.party_affiliation)
        )
    for rejection in sorted(rejections, key=lambda each: each.coordinates.offset):
        decided[rejection.coordinates.partition].rejections.append(rejection)
    return decided


def _decide_together(
    conn: psycopg.Connection, records: Sequence[BallotRecord], rules: ElectionRules
) -> tuple[list[Vote], list[Rejection]]:
    ballots, rejections = read_ballots(records, rules.began_at)
    voters = voter_register.find_voters(conn, [ballot.voter_id for ballot in ballots])
    valid, invalid = validate(ballots, voters, rules)
    stored = stored_decisions.insert_votes(conn, valid)
    votes = [vote for vote in valid if vote.voter_id in stored]
    rejections += invalid
    if len(votes) < len(valid):
        by_coordinates = {ballot.record.coordinates: ballot for ballot in ballots}
        rejections += [
            duplicate_ballot(by_coordinates[vote.coordinates])
            for vote in valid
            if vote.voter_id not in stored
        ]
    stored_decisions.insert_rejections(conn, rejections)
    return votes, rejections
