"""Reading a topic to its end, from a consumer that the test controls."""

from collections.abc import Sequence
from typing import Any, cast

import attrs
import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from voting_core.exceptions import UnreachableError
from voting_core.kafka import OffsetRange, read_to_end, reader
from voting_core.service.settings import KafkaSettings

END = KafkaError._PARTITION_EOF


@attrs.frozen
class FakeMessage:
    """A record, or an event, of a partition."""

    partition_: int
    offset_: int
    error_: KafkaError | None = None

    def topic(self) -> str:
        """Return the topic."""
        return "topic"

    def partition(self) -> int:
        """Return the partition."""
        return self.partition_

    def offset(self) -> int:
        """Return the offset."""
        return self.offset_

    def error(self) -> KafkaError | None:
        """Return the event, or None for a record."""
        return self.error_


@attrs.define
class FakeConsumer:
    """Returns given messages, one list a call, and then none."""

    polls: list[Sequence[FakeMessage]]
    closed: bool = False

    def consume(self, limit: int, timeout: float) -> Sequence[FakeMessage]:
        """Return the next messages."""
        return self.polls.pop(0) if self.polls else []

    def close(self) -> None:
        """Close it."""
        self.closed = True


def event(code: int, partition: int, offset: int = 0, *, retriable: bool = False) -> FakeMessage:
    """An event."""
    return FakeMessage(partition, offset, KafkaError(code, "event", retriable=retriable))


def read(
    monkeypatch: pytest.MonkeyPatch,
    ranges: dict[int, tuple[int, int]],
    *polls: Sequence[FakeMessage],
) -> list[tuple[int, int]]:
    """The positions of the records of a topic with these offsets, from a consumer's polls."""
    consumer = FakeConsumer(list(polls))
    offsets = {partition: OffsetRange(*range_) for partition, range_ in ranges.items()}
    monkeypatch.setattr(reader, "offset_ranges", lambda *_: offsets)
    by_topic = {("topic", partition): range_ for partition, range_ in offsets.items()}
    monkeypatch.setattr(reader, "topic_offset_ranges", lambda *_: by_topic)
    monkeypatch.setattr(reader, "open_reader", lambda *_: consumer)
    try:
        messages: list[Any] = list(
            read_to_end(KafkaSettings("nowhere:9"), cast(AdminClient, None), "topic", timeout=-1.0)
        )
    finally:
        assert consumer.closed or not any(start < end for start, end in ranges.values())
    return [(message.partition(), message.offset()) for message in messages]


def test_every_partition_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that arrive after the call are not of the topic as it was."""
    found = read(
        monkeypatch,
        {0: (0, 2), 1: (5, 6)},
        [FakeMessage(0, 0), FakeMessage(1, 5), FakeMessage(1, 6)],
        [FakeMessage(0, 1), FakeMessage(0, 2)],
    )
    assert found == [(0, 0), (1, 5), (0, 1)]


def test_an_empty_topic_has_no_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for, also where all records have been deleted."""
    assert read(monkeypatch, {0: (0, 0), 1: (7, 7)}) == []


def test_markers_and_aborted_records_count_as_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end-of-partition event tells that nothing readable is left before the end."""
    assert read(monkeypatch, {0: (0, 9)}, [FakeMessage(0, 3)], [event(END, 0, 9)]) == [(0, 3)]


def test_an_end_before_the_end_is_an_open_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """A committed reader stops there, so it has to wait for the transaction."""
    polls = ([event(END, 0, 2)], [FakeMessage(0, 2)], [event(END, 0, 4)])
    assert read(monkeypatch, {0: (0, 4)}, *polls) == [(0, 2)]


def test_a_retriable_error_does_not_end_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Librdkafka goes on by itself."""
    unavailable = event(KafkaError._TRANSPORT, 0, retriable=True)
    assert read(monkeypatch, {0: (0, 1)}, [unavailable], [FakeMessage(0, 0)]) == [(0, 0)]


def test_another_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic that cannot be read to its end is never taken for read."""
    with pytest.raises(KafkaException):
        read(monkeypatch, {0: (0, 1)}, [event(KafkaError.TOPIC_AUTHORIZATION_FAILED, 0)])


def test_silence_before_the_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the topic and the address."""
    with pytest.raises(UnreachableError, match=r"topic .*nowhere:9"):
        read(monkeypatch, {0: (0, 1)})
