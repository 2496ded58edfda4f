"""What a query counts while its batch runs, as its totals on Kafka show it.

A batch of real-time mode runs for minutes, and Spark reports what it has counted at its end only.
"""

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from voting_core import topics
from voting_core.aggregates import AggregateView, Row, check_total
from voting_core.exceptions import SerializationError
from voting_core.kafka import OffsetRange, offset_ranges, open_reader, read_ranges
from voting_core.serialization import decode_object
from voting_core.service.settings import KafkaSettings

MAX_RECORDS = 100_000
"""Records that are taken from the reader at once."""

READ_SECONDS = 10.0

_PROGRESS = topics.AGGREGATED_PROGRESS.name


def waiting_ranges(
    admin: AdminClient, counted: Mapping[int, int]
) -> dict[tuple[str, int], OffsetRange]:
    """Return the readable offsets of `votes_topic` that are not counted, by topic and partition.

    Args:
        admin: Lists offsets.
        counted: The offset of each partition at which the count continues; without it, the first.

    Raises:
        KafkaException: The brokers are unreachable.
    """
    ends = offset_ranges(admin, topics.VOTES.name, IsolationLevel.READ_COMMITTED)
    return {
        (topics.VOTES.name, partition): OffsetRange(start, offsets.end)
        for partition, offsets in ends.items()
        if (start := counted.get(partition, offsets.start)) < offsets.end
    }


class LiveTotals:
    """Follows `aggregated_progress`, and compares it with what `votes_topic` holds."""

    def __init__(
        self,
        settings: KafkaSettings,
        admin: AdminClient,
        votes_topic_id: str,
        counted: Mapping[int, int],
    ) -> None:
        """Read the totals so far, before the query starts.

        Args:
            settings: How to connect.
            admin: Lists offsets.
            votes_topic_id: Id of `votes_topic`.
            counted: The offset of each partition of `votes_topic` at which the query continues.

        Raises:
            KafkaException: The brokers are unreachable.
            UnreachableError: The totals could not be read.
        """
        self._settings = settings
        self._admin = admin
        self._view = AggregateView(votes_topic_id)
        self._counted = dict(counted)
        past = offset_ranges(admin, _PROGRESS, IsolationLevel.READ_COMMITTED)[0]
        self._apply_newest(read_ranges(settings, {(_PROGRESS, 0): past}, timeout=READ_SECONDS))
        self._reader = open_reader(settings, [TopicPartition(_PROGRESS, 0, past.end)])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._reader.close()

    @property
    def votes(self) -> int:
        """The highest number of votes that the totals have shown."""
        return self._view.sums().get(_PROGRESS, 0)

    def waiting(self) -> dict[tuple[str, int], OffsetRange]:
        """Return the readable offsets of `votes_topic` that the totals do not include.

        Raises:
            KafkaException: The brokers are unreachable.
        """
        return waiting_ranges(self._admin, self._counted)

    def read(self) -> bool:
        """Read the totals written since the last call; return whether there were any.

        After a crash, lower totals are written until the query has caught up.

        Raises:
            KafkaException: The topic cannot be read.
        """
        messages = self._reader.consume(MAX_RECORDS, timeout=0.0)
        rows = self._apply_newest(message for message in messages if message.error() is None)
        self._counted |= {row["partition"]: row["last_offset"] + 1 for row in rows}
        _raise_error(messages)
        return bool(rows)

    def are_complete(self, waiting: Mapping[tuple[str, int], OffsetRange]) -> bool:
        """Return whether every readable record of `votes_topic` is counted.

        Args:
            waiting: The offsets that the totals do not include.

        Raises:
            KafkaException: The brokers are unreachable.
            UnreachableError: The records could not be read.
        """
        # Only reading shows whether a vote is among these offsets.
        for _ in read_ranges(self._settings, waiting, timeout=READ_SECONDS, max_records=1):
            return False
        self._counted |= {partition: offsets.end for (_, partition), offsets in waiting.items()}
        return True

    def _apply_newest(self, records: Iterable[Message]) -> list[Row]:
        """Apply the newest record of each key, and return these."""
        newest = {record.key(): record.value() for record in records}
        rows = []
        for key, value in newest.items():
            try:
                row = decode_object(value)
                check_total(_PROGRESS, key, row)
                self._view.apply(_PROGRESS, key, value)
            except SerializationError:
                # Of another client; `voting status` reports it.
                continue
            if row["votes_topic_id"] == self._view.votes_topic_id:
                rows.append(row)
        return rows


def _raise_error(messages: Iterable[Message]) -> None:
    """Raise the first error among messages that the client does not recover from by itself."""
    for message in messages:
        error = message.error()
        if error is None or error.code() == KafkaError._PARTITION_EOF or error.retriable():
            continue
        raise KafkaException(error)
