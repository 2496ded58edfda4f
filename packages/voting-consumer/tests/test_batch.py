"""Batches of records."""

import sys
from collections.abc import Iterable
from typing import Any, cast

import attrs
import pytest
from confluent_kafka import Consumer, KafkaError, Message
from structlog.testing import capture_logs

from voting_consumer.batch import POLL_SECONDS, Batch, PartitionReader, generation_of
from voting_consumer.validation import BallotRecord
from voting_core.database.decisions import RecordRange
from voting_core.exceptions import FatalError
from voting_core.models import Coordinates
from voting_core.service.outage import OutageLog


@pytest.mark.parametrize("generation", [-1, 0, 7, 2**31 - 1])
def test_reads_the_generation(generation: int) -> None:
    """The generation follows the name of the format."""
    metadata = b"CGMDv2:" + generation.to_bytes(4, sys.byteorder, signed=True) + b"group\0\0\1"
    assert generation_of(metadata) == generation


def test_the_installed_librdkafka_writes_this_format() -> None:
    """A consumer that is not a member of its group has generation -1."""
    consumer = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0})
    assert generation_of(consumer.consumer_group_metadata()) == -1
    consumer.close()


@pytest.mark.parametrize("metadata", [b"", b"CGMDv3:\0\0\0\0", b"CGMDv2:\0"])
def test_an_unknown_format_is_fatal(metadata: bytes) -> None:
    """A generation is never guessed."""
    with pytest.raises(FatalError):
        generation_of(metadata)


def test_a_batch_spans_each_partition_from_its_first_to_its_last_record() -> None:
    """The gaps that transaction markers leave are inside the range."""
    positions = [(0, 5), (1, 0), (0, 6), (0, 9)]
    records = [BallotRecord(Coordinates("T", p, o), 0, b"") for p, o in positions]
    assert Batch(records, b"").ranges == [RecordRange("T", 0, 5, 10), RecordRange("T", 1, 0, 1)]


@attrs.frozen
class FakeMessage:
    """A record, or an event of a partition."""

    partition_: int
    offset_: int = 0
    error_: KafkaError | None = None

    def partition(self) -> int:
        """Return the partition."""
        return self.partition_

    def offset(self) -> int:
        """Return the offset."""
        return self.offset_

    def error(self) -> KafkaError | None:
        """Return the event, or None for a record."""
        return self.error_

    def timestamp(self) -> tuple[int, int]:
        """Return the type and the time of the timestamp."""
        return 1, 1000

    def value(self) -> bytes:
        """Return the value."""
        return b"value"


class FakeConsumer:
    """Yields given messages, one list a call."""

    def __init__(self, *polls: Iterable[FakeMessage]) -> None:
        self.polls = list(polls)
        self.polls_made: list[tuple[int, float]] = []

    def assign(self, partitions: Any) -> None:
        """Do nothing."""

    def consume(self, limit: int, timeout: float) -> list[Message]:
        """Return the next messages."""
        self.polls_made.append((limit, timeout))
        return cast(list[Message], list(self.polls.pop(0)) if self.polls else [])


def reader_of(*polls: Iterable[FakeMessage], batch_size: int = 1000) -> PartitionReader:
    """Return a reader of partitions 0 and 1 that receives these messages."""
    reader = PartitionReader(cast(Consumer, FakeConsumer(*polls)), batch_size, OutageLog("Kafka"))
    reader.assign("T", {0: 0, 1: 0})
    return reader


def event(code: int, partition: int = 0) -> FakeMessage:
    """Return an event."""
    return FakeMessage(partition, error_=KafkaError(code))


END = KafkaError._PARTITION_EOF


def test_a_record_keeps_its_coordinates_and_timestamp() -> None:
    """The coordinates carry the topic's id instead of its name."""
    assert reader_of([FakeMessage(1, 7)]).read() == [
        BallotRecord(Coordinates("T", 1, 7), 1000, b"value")
    ]


def test_a_batch_is_bounded() -> None:
    """No more records are asked for than fit in the batch, and no more than 500 at a time."""
    consumer = FakeConsumer(
        [FakeMessage(0, 0)],
        [FakeMessage(0, n) for n in range(1, 501)],
        [FakeMessage(0, n) for n in range(501, 700)],
    )
    reader = PartitionReader(cast(Consumer, consumer), 700, OutageLog("Kafka"))
    assert len(reader.read()) == 700
    assert consumer.polls_made == [(1, POLL_SECONDS), (500, 0), (199, 0)]


def test_a_batch_does_not_wait_for_more_records() -> None:
    """Only the first record is waited for; those that have arrived by then are in the batch."""
    consumer = FakeConsumer([FakeMessage(0, 0)], [FakeMessage(0, 1), FakeMessage(1, 0)])
    reader = PartitionReader(cast(Consumer, consumer), 700, OutageLog("Kafka"))
    assert len(reader.read()) == 3
    assert [timeout for _, timeout in consumer.polls_made] == [POLL_SECONDS, 0, 0]


def test_a_reader_has_caught_up_at_the_end_of_every_partition() -> None:
    """One end is not enough, and a new record or another assignment resets it."""
    reader = reader_of([event(END, 0)], [event(END, 1)], [FakeMessage(1)], [], [event(END, 1)])
    caught_up = []
    for _ in range(4):
        reader.read()
        caught_up.append(reader.has_caught_up)
    assert caught_up == [False, True, False, True]
    reader.assign("T", {0: 9})
    assert not reader.has_caught_up


def test_a_reader_without_partitions_has_caught_up_once_it_has_joined() -> None:
    """A consumer to which the group assigns nothing may become idle, but not before it joined."""
    reader = PartitionReader(cast(Consumer, FakeConsumer()), 1, OutageLog("Kafka"))
    assert not reader.has_caught_up
    reader.assign("T", {})
    assert reader.has_caught_up
    reader.unassign()
    assert not reader.has_caught_up


@pytest.mark.parametrize("code", [KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN])
def test_an_unavailable_broker_is_logged_and_not_fatal(code: int) -> None:
    """Records that arrived before and after the error are in the batch."""
    with capture_logs() as logs:
        records = reader_of([FakeMessage(0, 1), event(code), FakeMessage(0, 2)]).read()
    assert [record.coordinates.offset for record in records] == [1, 2]
    assert [log["event"] for log in logs] == ["unavailable", "available again"]


def test_another_error_is_fatal() -> None:
    """After an offset that is out of range, records would be missed."""
    with pytest.raises(FatalError, match="cannot read voters_topic"):
        reader_of([event(KafkaError._AUTO_OFFSET_RESET)]).read()
