"""The time from a readable vote to a readable total, as a reader of both topics sees it."""

import json
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

import attrs
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from bench.meter import metering
from bench.totals import TIMEOUT_SECONDS
from harness.election import ElectionBench
from voting_core.kafka import client_config, offset_ranges, open_reader

__all__ = [
    "Counting",
    "LatencyRun",
    "Matcher",
    "by_candidate",
    "measure_latency",
    "percentile",
    "total_votes",
]

FIRST_VOTES = 20
# Votes leave at this interval, as many as are due.
_TICK_SECONDS = 0.005
_DRAIN_SECONDS = 60.0


@attrs.frozen
class LatencyRun:
    """The latencies of a run.

    Attributes:
        p50: Median, in milliseconds.
        p99: 99th percentile, in milliseconds.
        longest: The longest, in milliseconds.
        counted: Votes whose total was read.
        totals: Votes of each candidate at the end, if they were counted.
        cpu_us: Microseconds of CPU time per vote.
    """

    p50: float
    p99: float
    longest: float
    counted: int
    totals: Mapping[str, int]
    cpu_us: Mapping[str, float]

    def __str__(self) -> str:
        cpu = ", ".join(f"{name} {us:.0f}" for name, us in self.cpu_us.items())
        return (
            f"p50 {self.p50:>7,.0f} ms  p99 {self.p99:>7,.0f} ms  max {self.longest:>7,.0f} ms"
            f"  µs of CPU a vote: {cpu}"
        )


@attrs.frozen
class Counting:
    """How votes and totals belong together.

    Attributes:
        topic: The topic of the votes.
        output: The topic of the totals.
        headers: Of each vote.
        group: Returns the group of a vote and of a total.
        total: Returns how many votes of the group a total includes.
    """

    topic: str
    output: str
    headers: list[tuple[str, str]]
    group: Callable[[Message], str]
    total: Callable[[Message], int]


def by_candidate(message: Message) -> str:
    """Return the candidate of a vote or of a total."""
    return str(json.loads(message.value() or b"")["candidate_id"])


def total_votes(message: Message) -> int:
    """Return the total in a record of totals."""
    return int(json.loads(message.value() or b"")["total_votes"])


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


class Matcher:
    """Finds for the n-th vote of a group the first total of at least n."""

    def __init__(self, counting: Counting) -> None:
        self._counting = counting
        self._votes: dict[str, list[tuple[int, float]]] = defaultdict(list)
        self._totals: dict[str, list[float]] = defaultdict(list)
        self.votes = 0

    def add(self, message: Message, now: float) -> None:
        """Take a record of either topic, which was read at a time."""
        group = self._counting.group(message)
        if message.topic() == self._counting.topic:
            self._votes[group].append((self.votes, now))
            self.votes += 1
        else:
            reached = self._totals[group]
            reached += [now] * (self._counting.total(message) - len(reached))

    @property
    def counted(self) -> int:
        """The votes that totals include."""
        return sum(map(len, self._totals.values()))

    def totals(self) -> dict[str, int]:
        """Return the highest total of each group."""
        return {group: len(reached) for group, reached in self._totals.items()}

    def latencies(self, first: int) -> list[float]:
        """Return the seconds of each vote from the `first` one on, in the order of reading.

        A total may be read a moment before the last vote in it: that is no time at all.
        """
        return [
            max(0.0, reached - read)
            for group, votes in self._votes.items()
            for (number, read), reached in zip(votes, self._totals[group], strict=True)
            if number >= first
        ]


def measure_latency(
    bench: ElectionBench,
    counting: Counting,
    votes: Sequence[tuple[bytes, bytes]],
    *,
    rate: int,
    warm_up: int,
    pids: Mapping[str, int],
    check: Callable[[], None],
) -> LatencyRun:
    """Offer votes at a rate and read their totals, of a counter that has been started.

    Args:
        bench: Where.
        counting: The topics, and how to read them.
        votes: Keys and values.
        rate: Votes per second.
        warm_up: How many votes are offered before those that are measured.
        pids: Processes whose CPU time is measured.
        check: Raises if the counter has failed.
    """
    starts = [
        TopicPartition(topic, partition, offsets.end)
        for topic in (counting.topic, counting.output)
        for partition, offsets in offset_ranges(bench.admin, topic).items()
    ]
    matcher = Matcher(counting)
    with closing(open_reader(bench.kafka, starts)) as reader:

        def read_until(enough: Callable[[], bool], timeout: float) -> None:
            deadline = time.monotonic() + timeout
            while not enough():
                message = reader.poll(0.1)
                if message is None:
                    check()
                elif (error := message.error()) is None:
                    matcher.add(message, time.monotonic())
                elif error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                if time.monotonic() > deadline:
                    raise TimeoutError(
                        f"{counting.output}: {matcher.counted} of {matcher.votes} votes counted"
                    )

        producer = Producer(client_config(bench.kafka, acks="all", linger_ms=0))
        _send(producer, counting, votes[:FIRST_VOTES], rate)
        producer.flush()
        read_until(lambda: matcher.counted == FIRST_VOTES, TIMEOUT_SECONDS)
        with metering(pids) as meter:
            start = time.time()
            sender = threading.Thread(
                target=_send, args=(producer, counting, votes[FIRST_VOTES:], rate), daemon=True
            )
            sender.start()
            read_until(
                lambda: matcher.votes == matcher.counted == len(votes),
                len(votes) / rate + _DRAIN_SECONDS,
            )
            sender.join()
            end = time.time()
    latencies = [1000 * seconds for seconds in matcher.latencies(warm_up)]
    middle = start + (end - start) * warm_up / len(votes)
    return LatencyRun(
        p50=percentile(latencies, 50),
        p99=percentile(latencies, 99),
        longest=max(latencies),
        counted=matcher.counted,
        totals=matcher.totals(),
        cpu_us=meter.cpu_us_per_vote(middle, end, len(latencies)),
    )


def _send(
    producer: Producer, counting: Counting, votes: Sequence[tuple[bytes, bytes]], rate: int
) -> None:
    start = time.monotonic()
    sent = 0
    while sent < len(votes):
        due = min(len(votes), int((time.monotonic() - start) * rate) + 1)
        for key, value in votes[sent:due]:
            producer.produce(counting.topic, value, key, headers=list(counting.headers))
        sent = due
        producer.poll(0)
        time.sleep(_TICK_SECONDS)
