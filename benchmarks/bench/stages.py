"""Measuring one service at a time, with Kafka and PostgreSQL on the same machine."""

import json
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs
from confluent_kafka import Message

from bench.context import PARTITIONS, Context
from bench.meter import metering
from bench.results import check_counts
from bench.totals import (
    await_condition,
    record_counter,
    stored_totals,
    topic_totals,
    vote_totals,
)
from voting_core import topics
from voting_core.kafka import offset_ranges, read_ranges
from voting_infra import Child, Command
from voting_infra.service_commands import spark_archives

__all__ = ["IN_REAL_TIME", "StageRun", "consume", "produce", "running", "stream_arguments", "tally"]

IN_REAL_TIME = "counting in real time"
"""What the stream logs when micro-batches have counted what waited."""
STOP_SECONDS = 60.0
READ_SECONDS = 60.0


@attrs.frozen(kw_only=True)
class StageRun:
    """What a service did in a run.

    Attributes:
        counted: All votes, or ballots, that it handled.
        votes: Those of the measured time.
        seconds: The measured time.
        cpu_us: Microseconds of CPU time per vote, of the service and of the servers.
        peak_memory: Most resident memory of the service, in bytes.
        totals: Votes of each candidate, if the service counts or draws them.
    """

    counted: int
    votes: int
    seconds: float
    cpu_us: Mapping[str, float]
    peak_memory: int
    totals: Mapping[str, int] | None = None

    @property
    def rate(self) -> float:
        """Votes per second."""
        return self.votes / self.seconds

    def __str__(self) -> str:
        cpu = ", ".join(f"{name} {us:.0f}" for name, us in self.cpu_us.items())
        return f"{self.rate:>10,.0f} votes/s  µs of CPU a vote: {cpu}"


@contextmanager
def running(context: Context, command: Command, *, until: str = "") -> Iterator[Child]:
    """Run a program until the block ends, then stop it; it must not have ended before.

    Args:
        context: Where.
        command: The program.
        until: The block begins once the program has logged this.
    """
    log = command.log_path
    earlier_runs = log.stat().st_size if log.exists() else 0
    child = context.bench.start(command)
    try:
        await_condition(
            f"{command.name}: {until}",
            lambda: until.encode() in log.read_bytes()[earlier_runs:],
            check=child.check,
        )
        yield child
        child.check()
    finally:
        child.stop(STOP_SECONDS)


def produce(context: Context, voters: int) -> StageRun:
    """Begin an election and send synthetic voters; the time is that of the producer's report."""
    bench = context.bench
    bench.begin(PARTITIONS)
    report = context.new_directory("producer") / "report.json"
    child = bench.start(
        bench.service(
            "voting-producer",
            *("run", "--source=synthetic", f"--voters={voters}", f"--report={report}"),
        )
    )
    with metering({"producer": child.pid, **context.server_pids()}) as meter:
        bench.await_end([child])
    found = json.loads(report.read_text(encoding="utf-8"))
    start, end = found["started_at"], found["finished_at"]
    sent = sum(1 for _ in bench.messages(topics.VOTERS.name))
    check_counts("producer", {"its report": found["votes"], "voters_topic": sent, "asked": voters})
    return StageRun(
        counted=sent,
        votes=sent,
        seconds=end - start,
        cpu_us=meter.cpu_us_per_vote(start, end, sent),
        peak_memory=max(meter.peak_memory("producer"), child.peak_memory or 0),
    )


def consume(context: Context, ballots: int) -> StageRun:
    """Let a consumer that is warm decide ballots that all become readable at the same time."""
    bench, workload = context.bench, context.workload
    warm_up = context.sizes.warm_up
    bench.begin(PARTITIONS)
    workload.register(warm_up + ballots)
    workload.send(0, warm_up)
    command = bench.service("voting-consumer", "run", "--instance=bench")
    with (
        record_counter(bench, topics.VOTES.name) as published,
        running(context, command) as child,
    ):
        await_condition("the first votes", lambda: published.reaches(warm_up), check=child.check)
        with (
            workload.held(warm_up, warm_up + ballots) as held,
            metering({"consumer": child.pid, **context.server_pids()}) as meter,
        ):
            start = held.release()
            await_condition(
                "the last vote",
                lambda: published.reaches(warm_up + ballots),
                check=child.check,
                interval=0,
            )
            end = time.time()
    stored, votes = stored_totals(bench), vote_totals(bench.messages(topics.VOTES.name))
    check_counts("consumer", {"table votes": stored, "votes_topic": votes})
    check_counts("consumer", {"ballots": warm_up + ballots, "votes": sum(stored.values())})
    return StageRun(
        counted=sum(stored.values()) - warm_up,
        votes=ballots,
        seconds=end - start,
        cpu_us=meter.cpu_us_per_vote(start, end, ballots),
        peak_memory=meter.peak_memory("consumer"),
        totals=stored,
    )


def stream_arguments(context: Context, checkpoint: Path) -> tuple[str, ...]:
    """Return the arguments of `voting-stream` that each run has."""
    java_options = context.sizes.java_options
    return (
        *("run", f"--checkpoint={checkpoint}", f"--class-archives={spark_archives()}"),
        *([f"--spark-conf=spark.driver.extraJavaOptions={java_options}"] if java_options else []),
    )


def tally(context: Context, batch: int) -> StageRun:
    """Count all of `votes_topic` from the beginning; the first batch is not measured."""
    bench = context.bench
    before = {
        topic: offset_ranges(bench.admin, topic)
        for topic in (topics.AGGREGATED_PROGRESS.name, topics.VOTES_PER_CANDIDATE.name)
    }
    checkpoint = context.new_directory("checkpoint")
    child = bench.start(
        bench.service(
            "voting-stream",
            *stream_arguments(context, checkpoint),
            *("--trigger=available-now", f"--max-offsets-per-trigger={batch}"),
        )
    )
    with metering({"stream": child.pid, **context.server_pids()}) as meter:
        bench.await_end([child])
    shutil.rmtree(checkpoint)

    def written(topic: str) -> list[Message]:
        ends = offset_ranges(bench.admin, topic)
        return list(
            read_ranges(
                bench.kafka,
                {(topic, p): attrs.evolve(r, start=before[topic][p].end) for p, r in ends.items()},
                timeout=READ_SECONDS,
            )
        )

    counted, votes, start, end = _measured_batches(written(topics.AGGREGATED_PROGRESS.name))
    return StageRun(
        counted=counted,
        votes=votes,
        seconds=end - start,
        cpu_us=meter.cpu_us_per_vote(start, end, votes),
        peak_memory=meter.peak_memory("stream"),
        totals=topic_totals(written(topics.VOTES_PER_CANDIDATE.name)),
    )


def _measured_batches(messages: Iterable[Message]) -> tuple[int, int, float, float]:
    """Return all votes, those after the first batch, and when the first and the last ended.

    A batch writes one record for each partition: the first record of each is of the first batch.
    """
    first: dict[int, int] = {}
    totals: dict[int, int] = {}
    start = end = 0.0
    for message in sorted(messages, key=lambda m: m.timestamp()[1]):
        record = json.loads(message.value() or b"")
        partition, total = record["partition"], record["total_votes"]
        end = message.timestamp()[1] / 1000
        if partition not in first:
            first[partition], start = total, end
        totals[partition] = total
    return sum(totals.values()), sum(totals.values()) - sum(first.values()), start, end
