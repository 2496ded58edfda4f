"""Counting and logging the records on the aggregate topics that the stream did not write."""

import time
from collections.abc import Callable

import attrs
import structlog

from voting_dashboard.sources import AggregateRecord

LOG_INTERVAL = 60.0
"""Seconds in which at most `LOG_LINES` are logged; any client may write any number of records."""

LOG_LINES = 10

log = structlog.get_logger()


@attrs.define
class ForeignRecordLog:
    """A log of the foreign records of one election, with a limited rate.

    Each counts once, however often the topics are read.

    Attributes:
        count: Number of foreign records found.
    """

    count: int = 0
    _clock: Callable[[], float] = time.monotonic
    _next_offsets: dict[tuple[str, int], int] = attrs.field(factory=dict, init=False)
    _interval_start: float = attrs.field(default=float("-inf"), init=False)
    _logged: int = attrs.field(default=0, init=False)

    def add(self, record: AggregateRecord, reason: str) -> None:
        """Count a record and log its position; do nothing if it was counted before."""
        partition = record.topic, record.partition
        if record.offset < self._next_offsets.get(partition, 0):
            return
        self._next_offsets[partition] = record.offset + 1
        self.count += 1
        now = self._clock()
        if now - self._interval_start >= LOG_INTERVAL:
            self._interval_start, self._logged = now, 0
        if self._logged < LOG_LINES:
            self._logged += 1
            log.warning(
                "skipped a foreign record",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                reason=reason,
                skipped=self.count,
            )
