"""Parts of the loop that need no Kafka."""

import sys

import pytest

from voting_consumer.loop import Batch, generation_of
from voting_consumer.validation import Record
from voting_core.database.decisions import RecordRange
from voting_core.exceptions import FatalError
from voting_core.models import Coordinates


@pytest.mark.parametrize("generation", [-1, 0, 7, 2**31 - 1])
def test_reads_the_generation(generation: int) -> None:
    """The generation stands behind the format's mark."""
    metadata = b"CGMDv2:" + generation.to_bytes(4, sys.byteorder, signed=True) + b"group\0\0\1"
    assert generation_of(metadata) == generation


def test_this_librdkafka_writes_the_format_that_is_read() -> None:
    """A consumer that is no member of its group says generation -1."""
    from confluent_kafka import Consumer

    consumer = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0})
    assert generation_of(consumer.consumer_group_metadata()) == -1
    consumer.close()


@pytest.mark.parametrize("metadata", [b"", b"CGMDv3:\0\0\0\0", b"CGMDv2:\0"])
def test_an_unknown_format_is_fatal(metadata: bytes) -> None:
    """A generation is never guessed."""
    with pytest.raises(FatalError):
        generation_of(metadata)


def test_a_batch_spans_each_partition_from_its_first_to_its_last_record() -> None:
    """Gaps that transaction markers leave are inside the span."""
    places = [(0, 5), (1, 0), (0, 6), (0, 9)]
    records = [Record(Coordinates("T", p, o), 0, b"") for p, o in places]
    assert Batch(records, b"").ranges == [RecordRange("T", 0, 5, 10), RecordRange("T", 1, 0, 1)]
