"""Tests of counting and logging foreign records."""

from structlog.testing import capture_logs

from voting_dashboard.foreign_records import LOG_INTERVAL, LOG_LINES, ForeignRecordLog
from voting_dashboard.sources import AggregateRecord

RECORD = AggregateRecord("topic", 0, 7, b"", b"{}", None)


def test_position_is_logged() -> None:
    """A foreign record is logged with its topic, partition and offset."""
    foreign = ForeignRecordLog()
    with capture_logs() as logs:
        foreign.add(RECORD, "not a total")
    assert [(line["topic"], line["partition"], line["offset"]) for line in logs] == [
        ("topic", 0, 7)
    ]


def test_counted_once() -> None:
    """Reading the topics again neither counts nor logs a record again."""
    foreign = ForeignRecordLog()
    with capture_logs() as logs:
        for _ in range(3):
            foreign.add(RECORD, "x")
            foreign.add(RECORD._replace(partition=1), "x")
    assert (foreign.count, len(logs)) == (2, 2)


def test_a_flood_is_counted_but_not_logged() -> None:
    """Any number of foreign records takes a bounded number of lines; the next one has the count."""
    now = 0.0
    foreign = ForeignRecordLog(clock=lambda: now)
    with capture_logs() as logs:
        for offset in range(1000):
            foreign.add(RECORD._replace(offset=offset), "x")
        assert len(logs) == LOG_LINES
        now = LOG_INTERVAL
        foreign.add(RECORD._replace(offset=1000), "x")
    assert len(logs) == LOG_LINES + 1
    assert logs[-1]["skipped"] == foreign.count == 1001
