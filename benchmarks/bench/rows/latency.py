"""Milliseconds from a readable vote to a readable total."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench.context import PARTITIONS, Context
from bench.latency import Counting, LatencyRun, by_candidate, measure_latency, total_votes
from bench.results import Figure, Goal, Row, check_counts, median_cpu
from bench.rounds import run_rounds
from bench.rows.stream import fill_votes
from bench.stages import IN_REAL_TIME, running, stream_arguments
from bench.totals import vote_totals
from bench.workload import bench_topic
from voting_core import topics
from voting_core.kafka import create_topics
from voting_core.topics import TOPIC_ID_HEADER
from voting_infra import Command

__all__ = ["measure"]

REAL_TIME = "real-time"
BATCHES = "1 second"
QUIX = "quixstreams"
LIMIT = "real time, forwarding only"
MOST_P50 = 100
MOST_P99 = 300
LEAST_OF_BATCHES = 5
# The default of `voting-stream run`.
CHECKPOINT_SECONDS = 120

Votes = Sequence[tuple[bytes, bytes]]


def measure(context: Context) -> Row:
    """Measure real-time mode against batches, another processor, and forwarding alone."""
    sizes = context.sizes
    context.prepare()
    fill_votes(context, sizes.latency_votes)
    messages = list(context.bench.messages(topics.VOTES.name))
    check_counts("latency", {"asked": sizes.latency_votes, "votes_topic": len(messages)})
    votes = [(m.key() or b"", m.value() or b"") for m in messages]
    expected = vote_totals(messages)
    has_checkpoint = sizes.latency_seconds >= CHECKPOINT_SECONDS
    context.print_line(
        f"  {sizes.latency_seconds:.0f} s are measured, a checkpoint is due every "
        f"{CHECKPOINT_SECONDS} s: {'at least one' if has_checkpoint else 'none'} falls into them"
    )
    runs: dict[str, list[LatencyRun]] = run_rounds(
        {
            "ours": partial(_stream, context, REAL_TIME, votes),
            f"batches of {BATCHES}": partial(_stream, context, BATCHES, votes),
            QUIX: partial(_quix, context, votes),
            LIMIT: partial(_forward, context, votes),
        },
        sizes.slow_rounds,
        context.print_line,
    )
    for name, results in runs.items():
        for run in results:
            check_counts("latency", {"votes": len(votes), name: run.counted})
            if name != LIMIT:
                check_counts("latency", {"votes": expected, name: run.totals})
    p50 = {name: Figure.of([run.p50 for run in results]) for name, results in runs.items()}
    p99 = {name: Figure.of([run.p99 for run in results]).median for name, results in runs.items()}
    ours, limit = p50.pop("ours"), p50.pop(LIMIT)
    gain = p50[f"batches of {BATCHES}"].median / ours.median
    return Row(
        name="latency",
        unit="ms (p50)",
        ours=ours,
        peers=p50,
        limit=(LIMIT, limit),
        more_is_better=False,
        goals=[
            Goal.below(f"p50 < {MOST_P50} ms", ours.median, MOST_P50),
            Goal.below(f"p99 < {MOST_P99} ms", p99["ours"], MOST_P99),
            Goal.at_least(f"≥ {LEAST_OF_BATCHES} × better than batches", gain, LEAST_OF_BATCHES),
        ],
        cpu_us=median_cpu([run.cpu_us for run in runs["ours"]]),
        rounds=sizes.slow_rounds,
        votes={name: results[0].counted for name, results in runs.items()},
        details={
            "p99": p99,
            "max": {name: max(run.longest for run in results) for name, results in runs.items()},
            "offered_per_second": sizes.latency_rate,
            "seconds": sizes.latency_seconds,
            "checkpoint_interval_seconds": CHECKPOINT_SECONDS,
            "has_checkpoint": has_checkpoint,
        },
    )


def _stream(context: Context, trigger: str, votes: Votes) -> LatencyRun:
    context.bench.begin(PARTITIONS)
    counting = Counting(
        topics.VOTES.name,
        topics.VOTES_PER_CANDIDATE.name,
        [(TOPIC_ID_HEADER, context.topic_id(topics.VOTES))],
        by_candidate,
        total_votes,
    )
    command = context.bench.service(
        "voting-stream",
        *stream_arguments(context, context.new_directory("checkpoint")),
        f"--trigger={trigger}",
        f"--checkpoint-interval={CHECKPOINT_SECONDS} seconds",
    )
    until = IN_REAL_TIME if trigger == REAL_TIME else ""
    return _measure(context, command, "stream", counting, votes, until=until)


def _quix(context: Context, votes: Votes) -> LatencyRun:
    counting = Counting(*_new_topics(context, "quix"), [], by_candidate, total_votes)
    command = _program(context, "peers.quix_count", counting, python=context.peers_python)
    return _measure(context, command, QUIX, counting, votes)


def _forward(context: Context, votes: Votes) -> LatencyRun:
    counting = Counting(
        *_new_topics(context, "forward"),
        [],
        lambda message: (message.key() or b"").decode(),
        lambda _: 1,
    )
    command = _program(context, "limits.spark_forward", counting)
    return _measure(context, command, "stream", counting, votes)


def _new_topics(context: Context, name: str) -> tuple[str, str]:
    source = context.new_directory(f"latency_{name}").name
    pair = [bench_topic(source, PARTITIONS), bench_topic(f"{source}_totals")]
    create_topics(context.bench.admin, pair, partitions=1, replication=1)
    return source, f"{source}_totals"


def _program(
    context: Context, module: str, counting: Counting, python: Path = Path(sys.executable)
) -> Command:
    directory = context.new_directory(module)
    return context.program(
        module,
        *(f"--source={counting.topic}", f"--output={counting.output}"),
        f"--directory={directory}",
        result=directory / "result.json",
        python=python,
    )


def _measure(
    context: Context,
    command: Command,
    name: str,
    counting: Counting,
    votes: Votes,
    *,
    until: str = "",
) -> LatencyRun:
    sizes = context.sizes
    with running(context, command, until=until) as child:
        return measure_latency(
            context.bench,
            counting,
            votes,
            rate=sizes.latency_rate,
            warm_up=round(sizes.latency_rate * sizes.latency_warm_up),
            pids={name: child.pid, **context.server_pids()},
            check=child.check,
        )
