"""How much each row counts: enough to measure, little for a first look, or hardly anything."""

import attrs

__all__ = ["FULL", "QUICK", "TINY", "Sizes"]


@attrs.frozen(kw_only=True)
class Sizes:
    """Numbers of votes, of rounds and of seconds.

    Attributes:
        name: `full`, `quick` or `tiny`.
        rounds: Rounds of the rows that take seconds; in each, every variant runs once.
        slow_rounds: Rounds of the rows for which Spark starts several times.
        voters: Ballots of a round of our services and of the limits.
        one_by_one: Ballots of a round of the programs that handle one after the other.
        streamed: Votes that the stream and the other Spark queries count.
        peer_streamed: Votes that the other stream processors count, the first of these.
        stream_batches: Batches in which Spark counts them; the first is not measured.
        latency_rate: Votes per second that are offered.
        latency_warm_up: Seconds of votes before the measurement.
        latency_seconds: Seconds of votes that are measured.
        piped: Ballots of the whole pipeline.
        piped_warm_up: Ballots that it counts before, while Java compiles what it runs often.
        growth: Ballots of the steps of growth.
        warm_up: Ballots before a measurement, of which no time is taken.
        warm_starts: Starts of the demo before those that are measured.
        java_options: Of the Java of every Spark; fast starts are worth more than fast code for
            some hundred votes.
    """

    name: str
    rounds: int
    slow_rounds: int
    voters: int
    one_by_one: int
    streamed: int
    peer_streamed: int
    stream_batches: int
    latency_rate: int
    latency_warm_up: float
    latency_seconds: float
    piped: int
    piped_warm_up: int
    growth: tuple[int, ...]
    warm_up: int
    warm_starts: int = 1
    java_options: str = ""

    @property
    def latency_votes(self) -> int:
        """Votes of a run that measures the latency."""
        return round(self.latency_rate * (self.latency_warm_up + self.latency_seconds))

    @property
    def ballots(self) -> int:
        """The most ballots that a row loads."""
        most = max(self.voters, self.streamed, self.latency_votes, *self.growth)
        return self.warm_up + most


FULL = Sizes(
    name="full",
    rounds=5,
    slow_rounds=3,
    voters=300_000,
    one_by_one=3_000,
    streamed=600_000,
    peer_streamed=100_000,
    stream_batches=6,
    latency_rate=2_000,
    latency_warm_up=20,
    # Longer than the interval between two checkpoints.
    latency_seconds=150,
    piped=600_000,
    piped_warm_up=100_000,
    growth=(100_000, 300_000, 1_000_000),
    warm_up=5_000,
)

QUICK = Sizes(
    name="quick",
    rounds=2,
    slow_rounds=1,
    voters=100_000,
    one_by_one=500,
    # Spark's cost of a batch must not outweigh that of its votes.
    streamed=200_000,
    peer_streamed=60_000,
    stream_batches=2,
    latency_rate=2_000,
    latency_warm_up=6,
    latency_seconds=5,
    piped=120_000,
    piped_warm_up=40_000,
    growth=(20_000, 80_000),
    warm_up=2_000,
    # The other rows have filled the caches.
    warm_starts=0,
)

TINY = Sizes(
    name="tiny",
    rounds=1,
    slow_rounds=1,
    voters=600,
    one_by_one=600,
    streamed=600,
    peer_streamed=600,
    stream_batches=2,
    latency_rate=300,
    latency_warm_up=1,
    latency_seconds=1,
    piped=600,
    piped_warm_up=100,
    growth=(300, 600),
    warm_up=100,
    warm_starts=0,
    java_options="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
)
