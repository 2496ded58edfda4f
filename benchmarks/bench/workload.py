"""Voters and ballots, kept beside the election, so that each round can count the same ones.

The schema `bench` and the topic `bench_ballots` outlive the elections.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import attrs
from confluent_kafka import Producer

from harness.election import ElectionBench
from voting_core import topics
from voting_core.database import voter_register
from voting_core.kafka import client_config, create_topics, offset_ranges, read_ranges
from voting_core.kafka.producer import ReliableProducer
from voting_core.topics import TopicSpec

__all__ = ["BALLOTS", "HeldBallots", "Workload", "bench_topic", "produce_all"]

_TRANSACTION_MS = 600_000
_COLUMNS = ", ".join(voter_register.VOTER_COLUMNS)


def bench_topic(name: str, partitions: int = 1) -> TopicSpec:
    """Return a topic of the benchmark's own."""
    return TopicSpec(name, {}, partitions)


BALLOTS = bench_topic("bench_ballots")


class Workload:
    """The voters and ballots of one run of the producer."""

    def __init__(self, bench: ElectionBench) -> None:
        self._bench = bench
        self.ballots = 0

    def keep(self) -> None:
        """Keep the voters and the ballots of the present election."""
        conn = self._bench.conn
        conn.execute("DROP SCHEMA IF EXISTS bench CASCADE; CREATE SCHEMA bench")
        conn.execute(
            "CREATE TABLE bench.voters AS"
            f" SELECT row_number() OVER (ORDER BY ctid) AS number, {_COLUMNS} FROM voters"
        )
        conn.execute("CREATE TABLE bench.candidates AS SELECT * FROM candidates")
        conn.execute("CREATE INDEX ON bench.voters (number)")
        rows = conn.execute("SELECT voter_id, number FROM bench.voters")
        numbers: dict[str, int] = dict(rows.fetchall())
        records = [
            (message.key() or b"", message.value() or b"")
            for message in self._bench.messages(topics.VOTERS.name)
        ]
        # In the order of the register, so that the first ballots belong to the first voters.
        records.sort(key=lambda record: numbers[record[0].decode()])
        conn.execute("CREATE TABLE bench.ballots (ballot bigint, number bigint)")
        with conn.cursor().copy("COPY bench.ballots FROM STDIN") as copy:
            for ballot, (key, _) in enumerate(records, start=1):
                copy.write_row((ballot, numbers[key.decode()]))
        conn.execute("ALTER TABLE bench.ballots ADD PRIMARY KEY (ballot); ANALYZE bench.voters")
        create_topics(self._bench.admin, [BALLOTS], partitions=1, replication=1)
        produce_all(self._bench, BALLOTS.name, records)
        self.ballots = len(records)

    def voters(self, ballots: int) -> int:
        """Return the number of voters among whom are those of the first ballots."""
        row = self._bench.conn.execute(
            "SELECT number FROM bench.ballots WHERE ballot = %s", (ballots,)
        ).fetchone()
        assert row is not None, f"there are {self.ballots} ballots, not {ballots}"
        return int(row[0])

    def register(self, ballots: int) -> None:
        """Register the candidates and the voters of the first ballots."""
        conn = self._bench.conn
        conn.execute("INSERT INTO candidates SELECT * FROM bench.candidates")
        conn.execute(
            f"INSERT INTO voters ({_COLUMNS}) SELECT {_COLUMNS} FROM bench.voters"
            " WHERE number <= %s ORDER BY number",
            (self.voters(ballots),),
        )
        # As a register that has been there for a while, without a checkpoint during the count.
        conn.execute("VACUUM ANALYZE voters")
        conn.execute("CHECKPOINT")

    def send(self, first: int, end: int) -> None:
        """Send the ballots from `first` up to, not including, `end`."""
        produce_all(self._bench, topics.VOTERS.name, self.read(first, end))

    @contextmanager
    def held(self, first: int, end: int) -> Iterator["HeldBallots"]:
        """Send ballots in an open transaction, which `read_committed` readers do not see."""
        producer = Producer(
            client_config(
                self._bench.kafka,
                transactional_id=f"bench-{time.time_ns()}",
                transaction_timeout_ms=_TRANSACTION_MS,
                compression_type="lz4",
                partitioner="murmur2_random",
                linger_ms=20,
                # The queue holds all ballots, whose number is known.
                queue_buffering_max_messages=0,
            )
        )
        producer.init_transactions(60)
        producer.begin_transaction()
        for key, value in self.read(first, end):
            producer.produce(topics.VOTERS.name, value, key)
        producer.flush()
        yield HeldBallots(producer)

    def read(self, first: int, end: int) -> list[tuple[bytes, bytes]]:
        """Return kept ballots as key and value."""
        ranges = {
            (BALLOTS.name, partition): attrs.evolve(offsets, start=first, end=end)
            for partition, offsets in offset_ranges(self._bench.admin, BALLOTS.name).items()
        }
        return [
            (message.key() or b"", message.value() or b"")
            for message in read_ranges(self._bench.kafka, ranges, timeout=60)
        ]


@attrs.frozen
class HeldBallots:
    """Ballots in an open transaction."""

    _producer: Producer

    def release(self) -> float:
        """Make all readable at once, and return when that began, in seconds since 1970."""
        now = time.time()
        self._producer.commit_transaction(60)
        return now


def produce_all(bench: ElectionBench, topic: str, records: Sequence[tuple[bytes, bytes]]) -> None:
    """Send records to a topic, partitioned by key as the services do."""
    producer = ReliableProducer(bench.kafka)
    producer.send(topic, records)
    producer.flush()
