"""Measuring one stage after another, on the machine that also runs Kafka and PostgreSQL.

The rates are computed from the timestamps of records: those of `voters_topic`, of `votes_topic`,
and of the totals that the stream writes.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence

from confluent_kafka import Message

from harness.election import ElectionBench, open_bench
from scaling.rates import Mark, steady_rate
from scaling.sizing import Measured
from voting_core import topics
from voting_core.serialization import decode_object
from voting_infra import Stack, Supervisor

__all__ = ["measure"]

IDLE_SECONDS = 5
# The first batch, in which Java still compiles, is left out. Small batches would measure only
# their fixed cost.
STREAM_BATCHES = 5


def measure(
    supervisor: Supervisor,
    stack: Stack,
    *,
    voters: int,
    counts: Sequence[int],
    print_line: Callable[[str], None],
) -> list[Measured]:
    """Count a fresh election for each number of services.

    Args:
        supervisor: Runs the services.
        stack: What they run on; its election is deleted.
        voters: Ballots in each election.
        counts: Numbers of partitions, and of services of each kind.
        print_line: Prints one line.

    Raises:
        StackError: A service fails.
        ValueError: There are too few ballots to measure a rate.
    """
    steps = []
    with open_bench(supervisor, stack) as bench:
        for count in counts:
            bench.begin(count)
            step = Measured(
                count,
                producers=_produce(bench, count, voters),
                consumers=_consume(bench, count),
                stream=_tally(bench, count, voters),
            )
            print_line(
                f"{count} of each: {step.producers:,.0f} votes/s sent, "
                f"{step.consumers:,.0f} decided, {step.stream:,.0f} tallied"
            )
            steps.append(step)
    return steps


def _produce(bench: ElectionBench, count: int, voters: int) -> float:
    bench.run(
        bench.service(
            "voting-producer",
            *("run", "--source=synthetic", f"--voters={voters}", f"--slice={number}/{count}"),
            name=f"voting-producer-{number}",
        )
        for number in range(1, count + 1)
    )
    return steady_rate(map(_mark, bench.messages(topics.VOTERS.name)))


def _consume(bench: ElectionBench, count: int) -> float:
    bench.run(
        bench.service(
            "voting-consumer",
            *("run", f"--instance={number}", f"--until-idle={IDLE_SECONDS}"),
            name=f"voting-consumer-{number}",
        )
        for number in range(1, count + 1)
    )
    return steady_rate(map(_mark, bench.messages(topics.VOTES.name)))


def _tally(bench: ElectionBench, count: int, voters: int) -> float:
    checkpoint = bench.directory / "checkpoint"
    command = bench.service(
        "voting-stream",
        *("run", f"--master=local[{count}]", f"--shuffle-partitions={count}"),
        *("--trigger=available-now", f"--checkpoint={checkpoint}"),
        f"--max-offsets-per-trigger={max(1, voters // STREAM_BATCHES)}",
    )
    bench.run([command])
    shutil.rmtree(checkpoint)
    return steady_rate(_tallied(bench.messages(topics.AGGREGATED_PROGRESS.name)))


def _mark(message: Message) -> Mark:
    return Mark(message.timestamp()[1] / 1000)


def _tallied(messages: Iterable[Message]) -> Iterable[Mark]:
    """Return the increase of a partition's total at each of its records."""
    totals: dict[bytes | None, int] = {}
    for message in messages:
        key, total = message.key(), decode_object(message.value() or b"")["total_votes"]
        if total > totals.get(key, 0):
            yield Mark(message.timestamp()[1] / 1000, total - totals.get(key, 0))
            totals[key] = total
