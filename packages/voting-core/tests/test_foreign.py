"""Collecting foreign records in bounded memory."""

import random

from voting_core.foreign import MAX_NAMED, ForeignRecord, ForeignRecords


def collected(*records: ForeignRecord) -> ForeignRecords:
    """A collection of records."""
    foreign = ForeignRecords()
    for record in records:
        foreign.add(record)
    return foreign


def test_the_first_by_position_are_kept_and_all_are_counted() -> None:
    """In whatever order they are read from several partitions."""
    records = [
        ForeignRecord("t", partition, offset, "r") for partition in (0, 1) for offset in range(50)
    ]
    random.Random(1).shuffle(records)
    found = collected(*records)
    assert [(each.partition, each.offset) for each in found.first] == [
        (0, offset) for offset in range(MAX_NAMED)
    ]
    assert found.number == 100
    assert found.by_topic == {"t": 100}


def test_one_record_may_stand_for_many() -> None:
    """The stream writes a number and the offset of the first one only."""
    foreign = ForeignRecords()
    foreign.add(ForeignRecord("votes_topic", 1, 17, "skipped"), 1_234)
    assert foreign.number == 1_234
    assert str(foreign) == "1,234 on votes_topic, first 1@17"


def test_collections_add_up() -> None:
    """The numbers, and the first records of both."""
    one = collected(*(ForeignRecord("t", 0, offset, "r") for offset in range(10, 40)))
    one.update(collected(ForeignRecord("t", 0, 3, "r"), ForeignRecord("a", 0, 99, "r")))
    assert one.by_topic == {"a": 1, "t": 31}
    assert [each.offset for each in one.first[:3]] == [99, 3, 10]
    assert len(one.first) == MAX_NAMED


def test_without_a_record_there_is_nothing() -> None:
    """An empty collection is false."""
    assert not ForeignRecords()
    assert collected(ForeignRecord("t", 0, 0, "r"))
    assert ForeignRecords().as_json() == {"records": 0, "by_topic": {}, "first": []}
