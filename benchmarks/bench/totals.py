"""Counting votes in PostgreSQL and on topics, independently of the services."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from harness.election import ElectionBench
from voting_core.kafka import offset_ranges, open_reader

__all__ = [
    "TIMEOUT_SECONDS",
    "RecordCounter",
    "TotalsFollower",
    "await_condition",
    "record_counter",
    "stored_totals",
    "topic_totals",
    "totals_follower",
    "vote_totals",
]

TIMEOUT_SECONDS = 900.0
MAX_RECORDS = 10_000
"""Records that are taken from a reader at once."""


def await_condition(
    what: str,
    is_true: Callable[[], bool],
    *,
    check: Callable[[], None] = lambda: None,
    interval: float = 0.05,
    timeout: float = TIMEOUT_SECONDS,
) -> None:
    """Wait until a condition is true.

    Args:
        what: The condition in words.
        is_true: Returns whether it holds.
        check: Called now and then; raises if it cannot hold any more.
        interval: Seconds between two looks.
        timeout: Seconds after which to give up.

    Raises:
        TimeoutError: It did not become true.
    """
    deadline = time.monotonic() + timeout
    while not is_true():
        check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:.0f} s")
        time.sleep(interval)


def stored_totals(bench: ElectionBench) -> dict[str, int]:
    """Return the stored votes of each candidate."""
    rows = bench.conn.execute("SELECT candidate_id, count(*) FROM votes GROUP BY candidate_id")
    return dict(rows.fetchall())


def vote_totals(messages: Iterable[Message]) -> dict[str, int]:
    """Return the votes of each candidate among records of votes."""
    return dict(Counter(json.loads(m.value() or b"")["candidate_id"] for m in messages))


def topic_totals(messages: Iterable[Message], field: str = "total_votes") -> dict[str, int]:
    """Return the highest total of each candidate among records of totals."""
    totals: dict[str, int] = {}
    for message in messages:
        record = json.loads(message.value() or b"")
        candidate_id = record["candidate_id"]
        totals[candidate_id] = max(totals.get(candidate_id, 0), record[field])
    return totals


class RecordCounter:
    """Counts the committed records that arrive on a topic.

    Attributes:
        count: The records that have been read.
    """

    def __init__(self, bench: ElectionBench, topic: str) -> None:
        self.consumer = _open_at_end(bench, topic)
        self.count = 0

    def reaches(self, count: int) -> bool:
        """Read what has arrived, and return whether so many records have.

        It returns as soon as the last one arrives.
        """
        missing = max(1, min(MAX_RECORDS, count - self.count))
        self.count += sum(1 for _ in _arrived(self.consumer, missing))
        return self.count >= count


class TotalsFollower:
    """Follows a topic of totals, at little cost for the machine that is measured.

    Attributes:
        total: The sum of the highest total of each key.
        changed_at: The timestamp of the record that brought it there, in seconds since 1970.
    """

    def __init__(self, bench: ElectionBench, topic: str) -> None:
        self.consumer = _open_at_end(bench, topic)
        self.total = 0
        self.changed_at = 0.0
        self._totals: dict[bytes | None, int] = {}

    def reaches(self, total: int) -> bool:
        """Read what has arrived, and return whether the sum of the totals is there."""
        # Only the last one of a key counts: the others need not even be decoded.
        last = {_key(message): message for message in _arrived(self.consumer, MAX_RECORDS)}
        for key, message in last.items():
            votes = json.loads(message.value() or b"")["total_votes"]
            if votes > self._totals.get(key, 0):
                self._totals[key] = votes
                self.changed_at = max(self.changed_at, message.timestamp()[1] / 1000)
        self.total = sum(self._totals.values())
        return self.total >= total


@contextmanager
def totals_follower(bench: ElectionBench, topic: str) -> Iterator[TotalsFollower]:
    """Follow a topic of totals from its present end."""
    follower = TotalsFollower(bench, topic)
    with closing(follower.consumer):
        yield follower


@contextmanager
def record_counter(bench: ElectionBench, topic: str) -> Iterator[RecordCounter]:
    """Count the records of a topic from its present end."""
    counter = RecordCounter(bench, topic)
    with closing(counter.consumer):
        yield counter


def _open_at_end(bench: ElectionBench, topic: str) -> Consumer:
    """Return a reader of the records that will be committed to a topic."""
    ends = offset_ranges(bench.admin, topic)
    return open_reader(
        bench.kafka, [TopicPartition(topic, p, each.end) for p, each in ends.items()]
    )


def _arrived(consumer: Consumer, most: int) -> Iterator[Message]:
    """Yield the records that have arrived, or arrive in a moment."""
    for message in consumer.consume(most, timeout=0.1):
        error = message.error()
        if error is None:
            yield message
        elif error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)


def _key(message: Message) -> bytes | None:
    # The two-query job writes no keys.
    return message.key() or json.loads(message.value() or b"")["candidate_id"].encode()
