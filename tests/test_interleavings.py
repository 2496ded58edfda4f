"""Single interleavings, each of which a rule of the protocol exists for."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest
from checker import read_topic
from confluent_kafka import Consumer, Producer, TopicPartition
from conftest import Election
from structlog.testing import capture_logs
from test_consumer import CANDIDATES, assert_counted, consume, ready

from voting_consumer.batch import Batch, generation_of
from voting_consumer.decisions import DecidedRange, Decider
from voting_consumer.loop import BallotConsumer
from voting_consumer.publisher import Publisher, TransactionAborted
from voting_consumer.settings import ConsumerSettings
from voting_consumer.validation import BallotRecord
from voting_core.checkpoint import OutputPosition, PartitionCheckpoint, encode_checkpoint
from voting_core.database.decisions import RecordRange
from voting_core.database.voter_register import add_candidates, add_voters
from voting_core.kafka import open_reader, read_checkpoints, topic_ids
from voting_core.models import Address, Coordinates, StoredVote, Vote, Voter
from voting_core.serialization import encode_vote, encode_voter
from voting_core.topics import VOTERS, VOTES, VOTES_PER_CANDIDATE, VOTING_PROGRESS

__all__ = ["ready"]

PATIENCE_SECONDS = 30.0
MOMENT_SECONDS = 1.0
"""How long to see that nothing happens; a rule that is missing lets it happen at once."""

GROUP = "voting-consumer"


def settings_of(election: Election, instance: str = "one") -> ConsumerSettings:
    """A consumer's settings for this election."""
    return ConsumerSettings(election.kafka, election.database, instance=instance)


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_still_waiting(future: "Future[Any]") -> bool:
    """Whether something has not ended after a moment in which it could have."""
    return not wait([future], MOMENT_SECONDS).done


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Somebody else to do things at the same time."""
    with ThreadPoolExecutor() as pool:
        yield pool


def never() -> bool:
    """Nobody asks the consumer to stop."""
    return False


class HeldDecider(Decider):
    """A decider that stops inside its transaction, before or after it decides what is undecided."""

    def __init__(self, settings: ConsumerSettings, where: str) -> None:
        super().__init__(settings, never)
        self._where = where
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def _hold(self, where: str) -> None:
        if where == self._where:
            self.reached.set()
            assert self.go_on.wait(PATIENCE_SECONDS)

    def decide_new(self, conn: psycopg.Connection, records: Sequence[BallotRecord]) -> None:
        self._hold("before")
        super().decide_new(conn, records)
        self._hold("after")


def batch_of(
    people: Sequence[Voter], partition: int = 0
) -> tuple[list[BallotRecord], list[RecordRange]]:
    """A ballot of each, and a record that is none, as the records of a partition."""
    values = [*map(encode_voter, people), b"no ballot"]
    records = [
        BallotRecord(Coordinates("T", partition, offset), 1_700_000_000_000, value)
        for offset, value in enumerate(values)
    ]
    return records, [RecordRange("T", partition, 0, len(records))]


def decide_at_the_same_time(
    election: Election, pool: ThreadPoolExecutor, where: str, second_partition: int
) -> tuple[list[DecidedRange], list[DecidedRange]]:
    """Let one consumer decide while another is held in its transaction; the held one's first."""
    add_candidates(election.conn, CANDIDATES)
    people = [
        Voter(f"v{n}", "V", date(1980, 1, 1), "male", Address("S"), choice="ada") for n in range(9)
    ]
    add_voters(election.conn, people)
    held, other = HeldDecider(settings_of(election), where), Decider(settings_of(election), never)
    try:
        first = pool.submit(held.decide, *batch_of(people))
        assert held.reached.wait(PATIENCE_SECONDS)
        second = pool.submit(other.decide, *batch_of(people, second_partition))
        eventually(lambda: second.done() or somebody_waits_for_a_lock(election.conn))
        held.go_on.set()
        return first.result(PATIENCE_SECONDS), second.result(PATIENCE_SECONDS)
    finally:
        held.go_on.set()
        held.close()
        other.close()


def somebody_waits_for_a_lock(conn: psycopg.Connection) -> bool:
    """Whether a consumer's connection waits for another transaction."""
    return bool(
        conn.execute(
            "SELECT FROM pg_stat_activity"
            " WHERE application_name = 'voting-consumer' AND wait_event_type = 'Lock'"
        ).fetchall()
    )


def test_two_deciders_on_one_partition_come_to_one_decision(
    election: Election, pool: ThreadPoolExecutor
) -> None:
    """Who comes while another decides waits, and then finds what the other one has decided."""
    first, second = decide_at_the_same_time(election, pool, "before", second_partition=0)
    assert first == second
    assert len(first[0].votes) == 9
    assert [rejection.reason for rejection in first[0].rejections] == ["malformed"]


def test_one_voter_on_two_partitions_has_one_vote(
    election: Election, pool: ThreadPoolExecutor
) -> None:
    """Ballots of the same voters, decided at the same time, count once, whoever comes second."""
    first, second = decide_at_the_same_time(election, pool, "after", second_partition=1)
    assert len(first[0].votes) == 9
    assert second[0].votes == []
    reasons = [rejection.reason for rejection in second[0].rejections]
    assert reasons == ["already_voted"] * 9 + ["malformed"]


def begin_transaction(election: Election, name: str) -> Producer:
    """A producer in a transaction."""
    producer = Producer(
        {
            "bootstrap.servers": election.kafka.bootstrap_servers,
            "transactional.id": name,
            "transaction.timeout.ms": 60_000,
        }
    )
    producer.init_transactions(PATIENCE_SECONDS)
    producer.begin_transaction()
    return producer


def progress_of(partition: int, offset: int) -> PartitionCheckpoint:
    """Progress of some topic."""
    return PartitionCheckpoint(
        "T", partition, OutputPosition("V", offset), OutputPosition("R", offset)
    )


def produce_progress(producer: Producer, progress: PartitionCheckpoint) -> None:
    """Send progress, and see that it is in the log."""
    producer.produce(VOTING_PROGRESS.name, encode_checkpoint(progress), progress.key)
    assert producer.flush(PATIENCE_SECONDS) == 0


def test_progress_behind_an_open_transaction_is_waited_for(
    election: Election, pool: ThreadPoolExecutor
) -> None:
    """What was aborted is not read; what is committed behind an open transaction is."""
    still_open, committed, aborted = (
        begin_transaction(election, name) for name in ("open", "committed", "aborted")
    )
    produce_progress(still_open, progress_of(1, 50))
    produce_progress(committed, progress_of(0, 10))
    committed.commit_transaction(PATIENCE_SECONDS)
    produce_progress(aborted, progress_of(0, 99))
    aborted.abort_transaction(PATIENCE_SECONDS)
    found = pool.submit(read_checkpoints, election.kafka, election.admin, "T")
    try:
        assert is_still_waiting(found)
    finally:
        still_open.commit_transaction(PATIENCE_SECONDS)
    assert found.result(PATIENCE_SECONDS) == {0: progress_of(0, 10), 1: progress_of(1, 50)}


def test_an_aborted_vote_is_not_tallied(election: Election) -> None:
    """The stream counts the votes of committed transactions only."""
    aborted, committed = (begin_transaction(election, name) for name in ("aborted", "committed"))
    for producer, voter_id in ((aborted, "a"), (committed, "c")):
        vote = Vote(Coordinates("T", 0, 0), voter_id, "ada", datetime.now(UTC), "S", "female", 40)
        producer.produce(VOTES.name, encode_vote(StoredVote(vote, "Ada", "")), voter_id)
        assert producer.flush(PATIENCE_SECONDS) == 0
    aborted.abort_transaction(PATIENCE_SECONDS)
    committed.commit_transaction(PATIENCE_SECONDS)
    options = "--spark-conf=spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    done = election.run(
        *("voting-stream", "run", "--trigger=available-now", "--master=local[1]", options),
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    totals = read_topic(election.kafka.bootstrap_servers, VOTES_PER_CANDIDATE.name)
    assert [json.loads(value)["total_votes"] for _, value in totals] == [1]


@contextmanager
def member(election: Election) -> Iterator[Consumer]:
    """A member of the consumers' group, with a place in it."""
    consumer = Consumer(
        {
            "bootstrap.servers": election.kafka.bootstrap_servers,
            "group.id": GROUP,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([VOTERS.name])

    def joined() -> bool:
        consumer.poll(0.1)
        return generation_of(consumer.consumer_group_metadata()) >= 0

    try:
        eventually(joined)
        yield consumer
    finally:
        consumer.close()


def test_a_batch_of_an_earlier_generation_is_not_published(election: Election) -> None:
    """Kafka refuses what was polled before the partitions went to somebody else."""
    with member(election) as former:
        metadata = former.consumer_group_metadata()
    publisher = Publisher(election.kafka, "late")
    nothing = DecidedRange(RecordRange("T", 0, 0, 5), [], [])
    with member(election), pytest.raises(TransactionAborted):
        publisher.publish(
            [(nothing, progress_of(0, 0))], [TopicPartition(VOTERS.name, 0, 5)], metadata
        )
    assert read_checkpoints(election.kafka, election.admin, "T") == {}
    with member(election) as present:
        publisher.publish(
            [(nothing, progress_of(0, 0))],
            [TopicPartition(VOTERS.name, 0, 5)],
            present.consumer_group_metadata(),
        )
    assert read_checkpoints(election.kafka, election.admin, "T") == {0: progress_of(0, 5)}


@pytest.fixture
def outsider(ready: Election) -> Iterator[BallotConsumer]:
    """A consumer that has not joined its group."""
    settings = settings_of(ready)
    decider = Decider(settings, never)
    consumer = BallotConsumer(
        settings, ready.admin, decider, Publisher(ready.kafka, settings.transactional_id)
    )
    yield consumer
    consumer.close()
    decider.close()


def test_who_is_no_member_of_the_group_takes_no_batch(outsider: BallotConsumer) -> None:
    """Kafka would not check the generation of nobody, so records read by nobody are dropped."""
    outsider.resume([0, 1])

    def dropped() -> bool:
        assert outsider.poll() is None
        return any(entry["event"].startswith("batch dropped") for entry in logs)

    with capture_logs() as logs:
        eventually(dropped)


def test_a_resuming_consumer_waits_for_a_commit_that_is_under_way(
    ready: Election, outsider: BallotConsumer, pool: ThreadPoolExecutor
) -> None:
    """A former owner whose offsets Kafka has accepted may still publish: its end is waited for."""
    former = begin_transaction(ready, "former")
    with member(ready) as owner:
        former.send_offsets_to_transaction(
            [TopicPartition(VOTERS.name, 0, 5)], owner.consumer_group_metadata(), PATIENCE_SECONDS
        )
    stable = pool.submit(outsider.resume, [0, 1])
    try:
        assert is_still_waiting(stable)
    finally:
        former.commit_transaction(PATIENCE_SECONDS)
    stable.result(PATIENCE_SECONDS)


def test_a_batch_is_published_in_the_generation_in_which_it_was_polled(
    ready: Election, outsider: BallotConsumer
) -> None:
    """What the group has become since does not matter: the batch goes by its own metadata."""
    with member(ready) as former:
        metadata = former.consumer_group_metadata()
    outsider.resume([0, 1])
    voters_id = topic_ids(ready.admin, [VOTERS])[VOTERS.name]
    reader = open_reader(ready.kafka, [TopicPartition(VOTERS.name, 0, 0)])
    message = reader.consume(1, PATIENCE_SECONDS)[0]
    reader.close()
    record = BallotRecord(Coordinates(voters_id, 0, 0), message.timestamp()[1], message.value())
    outsider.decide_and_publish(Batch([record], metadata))
    assert read_topic(ready.kafka.bootstrap_servers, VOTES.name) == []
    assert read_checkpoints(ready.kafka, ready.admin, voters_id) == {}
    consume(ready)
    assert_counted(ready)
