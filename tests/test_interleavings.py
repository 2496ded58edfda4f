"""Single interleavings, each of which a rule of the protocol excludes or makes harmless."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from structlog.testing import capture_logs

from testkit.checker.kafka_topics import read_topic
from testkit.election import Election
from testkit.sample_ballots import CANDIDATES, assert_counted
from testkit.transactions import begin_transaction
from testkit.waiting import eventually, is_blocked
from voting_consumer.batch import Batch, generation_of
from voting_consumer.decisions import DecidedRange, Decider
from voting_consumer.loop import BallotConsumer
from voting_consumer.publisher import Publisher, TransactionAborted
from voting_consumer.settings import ConsumerSettings
from voting_consumer.topic_guard import TopicGuard
from voting_consumer.validation import BallotRecord, ElectionRules
from voting_core.checkpoint import OutputPosition, PartitionCheckpoint, encode_checkpoint
from voting_core.database import voter_register
from voting_core.database.decisions import RecordRange
from voting_core.database.election import read_election
from voting_core.database.voter_register import add_candidates, add_voters
from voting_core.election import Election as Identity
from voting_core.kafka import open_reader, read_checkpoints, topic_ids
from voting_core.models import (
    Address,
    Candidate,
    Coordinates,
    RegisteredVoter,
    Rejection,
    StoredVote,
    Vote,
    Voter,
)
from voting_core.serialization import encode_vote, encode_voter
from voting_core.topics import (
    REJECTED_VOTES,
    TOPIC_ID_HEADER,
    VOTERS,
    VOTES,
    VOTES_PER_CANDIDATE,
    VOTING_PROGRESS,
)

TIMEOUT_SECONDS = 30.0

GROUP = "voting-consumer"


def settings_of(election: Election, instance: str = "one") -> ConsumerSettings:
    """A consumer's settings for this election."""
    return ConsumerSettings(election.kafka, election.database, instance=instance)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads for calls that run at the same time."""
    with ThreadPoolExecutor() as pool:
        yield pool


def never() -> bool:
    """The consumer is not asked to stop."""
    return False


def identity_of(election: Election) -> Identity:
    """The election's identity."""
    found = read_election(election.conn)
    assert found is not None
    return found


def decider_of(election: Election) -> Decider:
    """A decider on the election's database."""
    return Decider(election.database, identity_of(election), GROUP, never)


def publisher_of(election: Election, transactional_id: str) -> Publisher:
    """A publisher on the election's topics."""
    guard = TopicGuard(election.admin, identity_of(election))
    return Publisher(election.kafka, transactional_id, guard, never)


IDS = {VOTERS.name: "T", VOTES.name: "V", REJECTED_VOTES.name: "R"}


def checkpoints_of(election: Election, ids: Mapping[str, str]) -> dict[int, PartitionCheckpoint]:
    """The checkpoint of each partition of a voters_topic."""
    return read_checkpoints(election.kafka, election.admin, ids).present


class PausedDecider(Decider):
    """A decider that pauses inside its transaction, before or after it decides on new records."""

    def __init__(self, election: Election, where: str) -> None:
        super().__init__(election.database, identity_of(election), GROUP, never)
        self._where = where
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def _pause(self, where: str) -> None:
        if where == self._where:
            self.reached.set()
            assert self.go_on.wait(TIMEOUT_SECONDS)

    def decide_new(
        self, conn: psycopg.Connection, records: Sequence[BallotRecord], rules: ElectionRules
    ) -> tuple[list[Vote], list[Rejection]]:
        """Decide, with a pause."""
        self._pause("before")
        decided = super().decide_new(conn, records, rules)
        self._pause("after")
        return decided


def batch_of(
    voters: Sequence[Voter], partition: int = 0
) -> tuple[list[BallotRecord], list[RecordRange], dict[int, int]]:
    """A ballot of each voter, and one malformed record, as the first records of a partition."""
    values = [*map(encode_voter, voters), b"no ballot"]
    timestamp = int(datetime.now(UTC).timestamp() * 1000)
    records = [
        BallotRecord(Coordinates("T", partition, offset), timestamp, value)
        for offset, value in enumerate(values)
    ]
    return records, [RecordRange("T", partition, 0, len(records))], {partition: 0}


def register_nine_voters(election: Election) -> list[Voter]:
    """Nine registered voters, each with a choice."""
    voters = [
        Voter(f"v{n}", "V", date(1980, 1, 1), "male", Address("S"), choice="ada") for n in range(9)
    ]
    add_candidates(election.conn, CANDIDATES)
    add_voters(election.conn, voters)
    return voters


def decide_at_the_same_time(
    election: Election, pool: ThreadPoolExecutor, where: str, second_partition: int
) -> tuple[list[DecidedRange], list[DecidedRange]]:
    """Decide while another consumer is paused in its transaction; return the paused one's first."""
    voters = register_nine_voters(election)
    paused = PausedDecider(election, where)
    other = decider_of(election)
    try:
        first = pool.submit(paused.decide, *batch_of(voters))
        assert paused.reached.wait(TIMEOUT_SECONDS)
        second = pool.submit(other.decide, *batch_of(voters, second_partition))
        eventually(
            lambda: second.done() or a_consumer_waits_for_a_lock(election.conn),
            "the second decider has returned or waits",
        )
        paused.go_on.set()
        return first.result(TIMEOUT_SECONDS), second.result(TIMEOUT_SECONDS)
    finally:
        paused.go_on.set()
        paused.close()
        other.close()


def decide_with_change(
    election: Election, pool: ThreadPoolExecutor, where: str, change: Callable[[], object]
) -> DecidedRange:
    """Decide on nine voters' ballots, and change something while the transaction is open."""
    voters = register_nine_voters(election)
    with closing(PausedDecider(election, where)) as decider:
        decided = pool.submit(decider.decide, *batch_of(voters))
        try:
            assert decider.reached.wait(TIMEOUT_SECONDS)
            change()
        finally:
            decider.go_on.set()
        (decisions,) = decided.result(TIMEOUT_SECONDS)
    return decisions


def a_consumer_waits_for_a_lock(conn: psycopg.Connection) -> bool:
    """Whether a consumer's connection waits for another transaction."""
    return bool(
        conn.execute(
            "SELECT FROM pg_stat_activity"
            " WHERE application_name = 'voting-consumer' AND wait_event_type = 'Lock'"
        ).fetchall()
    )


@pytest.mark.parametrize(
    ("default", "used"), [("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")]
)
def test_the_commit_of_a_decision_waits_for_the_disk(
    election: Election, default: str, used: str
) -> None:
    """Whatever the database's default is; a stronger one stays."""
    seen: list[str] = []

    class Observed(Decider):
        def decide_new(self, conn: psycopg.Connection, *args: Any) -> Any:
            seen.extend(conn.execute("SHOW synchronous_commit").fetchone() or ())
            return super().decide_new(conn, *args)

    database = election.conn.info.dbname
    election.conn.execute(f"ALTER DATABASE {database} SET synchronous_commit TO {default}".encode())
    try:
        voters = register_nine_voters(election)
        decider = Observed(election.database, identity_of(election), GROUP, never)
        with closing(decider):
            decider.decide(*batch_of(voters))
    finally:
        election.conn.execute(f"ALTER DATABASE {database} RESET ALL".encode())
    assert seen == [used]


def test_two_deciders_on_one_partition_make_one_decision(
    election: Election, pool: ThreadPoolExecutor
) -> None:
    """The second decider waits for the first, and then finds its decisions."""
    first, second = decide_at_the_same_time(election, pool, "before", second_partition=0)
    assert first == second
    assert len(first[0].votes) == 9
    assert [rejection.reason for rejection in first[0].rejections] == ["malformed"]


def test_one_voter_on_two_partitions_has_one_vote(
    election: Election, pool: ThreadPoolExecutor
) -> None:
    """Of two ballots of a voter that are decided at the same time, one counts."""
    first, second = decide_at_the_same_time(election, pool, "after", second_partition=1)
    assert len(first[0].votes) == 9
    assert second[0].votes == []
    reasons = [rejection.reason for rejection in second[0].rejections]
    assert reasons == ["already_voted"] * 9 + ["malformed"]


def test_a_connection_lost_before_the_commit_is_replaced(
    election: Election, pool: ThreadPoolExecutor
) -> None:
    """Nothing of the transaction is stored, and the batch is decided again."""

    def terminate() -> None:
        election.conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'voting-consumer'"
        )

    first = decide_with_change(election, pool, "after", terminate)
    assert len(first.votes) == 9
    assert election.conn.execute("SELECT count(*) FROM votes").fetchone() == (9,)


def test_a_voter_deleted_after_the_lookup_is_unregistered(
    election: Election, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database refuses the vote, and the repeated transaction does not find the voter."""
    voters = register_nine_voters(election)
    find_voters = voter_register.find_voters

    def find_and_delete(
        conn: psycopg.Connection, voter_ids: list[str]
    ) -> dict[str, RegisteredVoter]:
        found = find_voters(conn, voter_ids)
        election.conn.execute("DELETE FROM voters WHERE voter_id = 'v0'")
        return found

    monkeypatch.setattr(voter_register, "find_voters", find_and_delete)
    with closing(decider_of(election)) as decider:
        (decided,) = decider.decide(*batch_of(voters))
    assert len(decided.votes) == 8
    reasons = [rejection.reason for rejection in decided.rejections]
    assert reasons == ["unregistered", "malformed"]


def test_candidates_that_change_meanwhile_are_read_again(
    election: Election, pool: ThreadPoolExecutor
) -> None:
    """The first vote fixes a candidate's name; until then, another one may replace it."""

    def replace_ada() -> None:
        election.conn.execute("DELETE FROM candidates WHERE candidate_id = 'ada'")
        add_candidates(election.conn, [Candidate("ada", "Ada King", "Engines")])

    decisions = decide_with_change(election, pool, "before", replace_ada)
    names = {(vote.candidate_name, vote.party_affiliation) for vote in decisions.votes}
    assert names == {("Ada King", "Engines")}
    assert len(decisions.votes) == 9


def test_a_ballot_for_a_deleted_candidate_is_rejected(election: Election) -> None:
    """Also by a consumer that knows the candidates from an earlier batch."""
    voters = register_nine_voters(election)
    until = time.monotonic() + TIMEOUT_SECONDS
    decider = Decider(
        election.database, identity_of(election), GROUP, lambda: time.monotonic() > until
    )
    with closing(decider):
        decider.decide(*batch_of([], partition=1))
        election.conn.execute("DELETE FROM candidates WHERE candidate_id = 'ada'")
        (decided,) = decider.decide(*batch_of(voters))
    assert decided.votes == []
    reasons = [rejection.reason for rejection in decided.rejections]
    assert reasons == ["unknown_candidate"] * 9 + ["malformed"]


def checkpoint_at(partition: int, offset: int) -> PartitionCheckpoint:
    """A checkpoint of a partition of the topic T."""
    return PartitionCheckpoint(
        "T", partition, OutputPosition("V", offset), OutputPosition("R", offset)
    )


def produce_checkpoint(producer: Producer, checkpoint: PartitionCheckpoint) -> None:
    """Produce a checkpoint and wait until it is in the log."""
    producer.produce(VOTING_PROGRESS.name, encode_checkpoint(checkpoint), checkpoint.key)
    assert producer.flush(TIMEOUT_SECONDS) == 0


def test_a_checkpoint_behind_an_open_transaction_is_waited_for(
    election: Election, pool: ThreadPoolExecutor
) -> None:
    """Aborted checkpoints are not read; one committed behind an open transaction is."""
    still_open, committed, aborted = (
        begin_transaction(election.kafka.bootstrap_servers, name)
        for name in ("open", "committed", "aborted")
    )
    produce_checkpoint(still_open, checkpoint_at(1, 50))
    produce_checkpoint(committed, checkpoint_at(0, 10))
    committed.commit_transaction(TIMEOUT_SECONDS)
    produce_checkpoint(aborted, checkpoint_at(0, 99))
    aborted.abort_transaction(TIMEOUT_SECONDS)
    checkpoints = pool.submit(checkpoints_of, election, IDS)
    try:
        assert is_blocked(checkpoints)
    finally:
        still_open.commit_transaction(TIMEOUT_SECONDS)
    assert checkpoints.result(TIMEOUT_SECONDS) == {
        0: checkpoint_at(0, 10),
        1: checkpoint_at(1, 50),
    }


def test_an_aborted_vote_is_not_tallied(election: Election) -> None:
    """The stream counts the votes of committed transactions only."""
    aborted, committed = (
        begin_transaction(election.kafka.bootstrap_servers, name)
        for name in ("aborted", "committed")
    )
    for producer, voter_id in ((aborted, "a"), (committed, "c")):
        vote = Vote(Coordinates("T", 0, 0), voter_id, "ada", datetime.now(UTC), "S", "female", 40)
        topic_id: str | bytes | None = identity_of(election).topic_ids[VOTES.name]
        headers = [(TOPIC_ID_HEADER, topic_id)]
        value = encode_vote(StoredVote(vote, "Ada", ""))
        producer.produce(VOTES.name, value, voter_id, headers=headers)
        assert producer.flush(TIMEOUT_SECONDS) == 0
    aborted.abort_transaction(TIMEOUT_SECONDS)
    committed.commit_transaction(TIMEOUT_SECONDS)
    election.tally()
    totals = read_topic(election.kafka.bootstrap_servers, VOTES_PER_CANDIDATE.name)
    assert [json.loads(value)["total_votes"] for _, value in totals] == [1]


@contextmanager
def member(election: Election) -> Iterator[Consumer]:
    """A member of the consumers' group."""
    consumer = Consumer(
        {
            "bootstrap.servers": election.kafka.bootstrap_servers,
            "group.id": GROUP,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([VOTERS.name])

    def has_joined() -> bool:
        consumer.poll(0.1)
        return generation_of(consumer.consumer_group_metadata()) >= 0

    try:
        eventually(has_joined, "the consumer has joined its group")
        yield consumer
    finally:
        consumer.close()


def test_a_batch_of_an_earlier_generation_is_not_published(election: Election) -> None:
    """Kafka refuses a batch that was polled before its partitions were reassigned."""
    with member(election) as former:
        metadata = former.consumer_group_metadata()
    publisher = publisher_of(election, "late")
    nothing = DecidedRange(RecordRange("T", 0, 0, 5), [], [])
    with member(election), pytest.raises(TransactionAborted):
        publisher.publish(
            [(nothing, checkpoint_at(0, 0))], [TopicPartition(VOTERS.name, 0, 5)], metadata
        )
    assert checkpoints_of(election, IDS) == {}
    with member(election) as present:
        publisher.publish(
            [(nothing, checkpoint_at(0, 0))],
            [TopicPartition(VOTERS.name, 0, 5)],
            present.consumer_group_metadata(),
        )
    assert checkpoints_of(election, IDS) == {0: checkpoint_at(0, 5)}


@pytest.fixture
def non_member(ready: Election) -> Iterator[BallotConsumer]:
    """A consumer that has not joined its group."""
    settings = settings_of(ready)
    decider = decider_of(ready)
    identity = identity_of(ready)
    consumer = BallotConsumer(
        settings,
        ready.admin,
        identity,
        TopicGuard(ready.admin, identity),
        decider,
        publisher_of(ready, settings.transactional_id),
        never,
    )
    yield consumer
    consumer.close()
    decider.close()


def test_a_consumer_outside_its_group_drops_what_it_polls(non_member: BallotConsumer) -> None:
    """Kafka does not check the generation of a consumer without one, so its batches are dropped."""
    non_member.resume([0, 1])

    def has_dropped() -> bool:
        assert non_member.poll() is None
        return any(entry["event"].startswith("batch dropped") for entry in logs)

    with capture_logs() as logs:
        eventually(has_dropped, "a batch is dropped")


def test_a_resuming_consumer_waits_for_a_commit_in_flight(
    ready: Election, non_member: BallotConsumer, pool: ThreadPoolExecutor
) -> None:
    """A former owner whose offsets Kafka has accepted may still publish: its end is waited for."""
    former = begin_transaction(ready.kafka.bootstrap_servers, "former")
    with member(ready) as owner:
        former.send_offsets_to_transaction(
            [TopicPartition(VOTERS.name, 0, 5)], owner.consumer_group_metadata(), TIMEOUT_SECONDS
        )
    stable = pool.submit(non_member.resume, [0, 1])
    try:
        assert is_blocked(stable)
    finally:
        former.commit_transaction(TIMEOUT_SECONDS)
    stable.result(TIMEOUT_SECONDS)


def test_a_batch_is_published_in_the_generation_of_its_poll(
    ready: Election, non_member: BallotConsumer
) -> None:
    """Kafka checks the batch's own metadata, not the consumer's of the moment of publication."""
    with member(ready) as former:
        metadata = former.consumer_group_metadata()
    non_member.resume([0, 1])
    voters_id = topic_ids(ready.admin, [VOTERS])[VOTERS.name]
    reader = open_reader(ready.kafka, [TopicPartition(VOTERS.name, 0, 0)])
    message = reader.consume(1, TIMEOUT_SECONDS)[0]
    reader.close()
    record = BallotRecord(Coordinates(voters_id, 0, 0), message.timestamp()[1], message.value())
    non_member.decide_and_publish(Batch([record], metadata))
    assert not non_member.finish()
    assert read_topic(ready.kafka.bootstrap_servers, VOTES.name) == []
    assert checkpoints_of(ready, identity_of(ready).topic_ids) == {}
    ready.consume()
    assert_counted(ready)
