"""Votes per second of all services at once, from the first voter to the last total."""

import json
from functools import partial
from pathlib import Path

from bench import one_by_one
from bench.context import PARTITIONS, Context, read_program
from bench.machine import available_cores
from bench.meter import metering
from bench.results import Figure, Goal, Row, check_counts, median_cpu
from bench.rounds import run_rounds
from bench.stages import IN_REAL_TIME, StageRun, running, stream_arguments
from bench.totals import await_condition, stored_totals, topic_totals, totals_follower, vote_totals
from voting_core import topics
from voting_infra import Command

__all__ = ["measure"]

PEER = "services of one voter at a time"
LIMIT = "full utilisation at this CPU time"
LEAST_RATE = 15_000
MOST_CPU_US = 130


def measure(context: Context) -> Row:
    """Measure the pipeline against one voter at a time, and against the sum of its CPU time."""
    sizes = context.sizes
    runs: dict[str, list[StageRun]] = run_rounds(
        {
            "ours": partial(_pipeline, context, sizes.piped),
            PEER: partial(_one_by_one, context, sizes.one_by_one),
        },
        sizes.slow_rounds,
        context.print_line,
    )
    ours, peer = (Figure.of([run.rate for run in runs[name]]) for name in ("ours", PEER))
    cores = available_cores()
    sums = [sum(run.cpu_us.values()) for run in runs["ours"]]
    return Row(
        name="pipeline",
        unit="votes/s",
        ours=ours,
        peers={PEER: peer},
        limit=(LIMIT, Figure.of([1e6 * cores / cpu_us for cpu_us in sums])),
        goals=[
            Goal.at_least(f"≥ {LEAST_RATE:,} votes/s", ours.median, LEAST_RATE),
            Goal.at_most(f"≤ {MOST_CPU_US} µs of CPU a vote", Figure.of(sums).median, MOST_CPU_US),
        ],
        cpu_us=median_cpu([run.cpu_us for run in runs["ours"]]),
        rounds=sizes.slow_rounds,
        votes={name: results[0].counted for name, results in runs.items()},
        details={"cores": cores},
    )


def _pipeline(context: Context, ballots: int) -> StageRun:
    bench, warm_up = context.bench, context.sizes.piped_warm_up
    bench.begin(PARTITIONS)
    consumer = bench.service("voting-consumer", "run", "--instance=bench")
    stream = bench.service(
        "voting-stream", *stream_arguments(context, context.new_directory("checkpoint"))
    )
    with (
        totals_follower(bench, topics.AGGREGATED_PROGRESS.name) as progress,
        totals_follower(bench, topics.VOTES_PER_CANDIDATE.name) as candidates,
        running(context, stream, until=IN_REAL_TIME) as streaming,
        running(context, consumer) as consuming,
    ):

        def check() -> None:
            streaming.check()
            consuming.check()

        def await_totals(votes: int) -> None:
            # In real time, each aggregate gets there on its own.
            await_condition("totals", lambda: progress.reaches(votes), check=check)
            await_condition("totals", lambda: candidates.reaches(votes), check=check)

        _send(context, warm_up, "warm-up")
        await_totals(warm_up)
        report = context.new_directory("producer") / "report.json"
        producer = bench.start(
            bench.service(
                "voting-producer",
                *("run", "--source=synthetic", f"--voters={ballots}", "--seed=pipeline"),
                f"--report={report}",
            )
        )
        pids = {"producer": producer.pid, "consumer": consuming.pid, "Spark": streaming.pid}
        with metering({**pids, **context.server_pids()}) as meter:
            everything = warm_up + ballots
            await_totals(everything)
            bench.await_end([producer])
        end = max(progress.changed_at, candidates.changed_at)
    start = json.loads(report.read_text(encoding="utf-8"))["started_at"]
    stored = stored_totals(bench)
    check_counts(
        "pipeline",
        {
            "table votes": stored,
            "votes_topic": vote_totals(bench.messages(topics.VOTES.name)),
            "totals": topic_totals(bench.messages(topics.VOTES_PER_CANDIDATE.name)),
        },
    )
    check_counts("pipeline", {"ballots": everything, "votes": sum(stored.values())})
    return StageRun(
        counted=ballots,
        votes=ballots,
        seconds=end - start,
        cpu_us=meter.cpu_us_per_vote(start, end, ballots),
        peak_memory=0,
        totals=stored,
    )


def _send(context: Context, voters: int, seed: str) -> None:
    arguments = ("run", "--source=synthetic", f"--voters={voters}", f"--seed={seed}")
    context.bench.run([context.bench.service("voting-producer", *arguments)])


def _one_by_one(context: Context, voters: int) -> StageRun:
    bench, warm_up = context.bench, context.sizes.one_by_one // 5
    bench.begin(PARTITIONS)
    # The candidates come from our producer.
    _send(context, 1, "candidates")
    one_by_one.begin(context)
    directory = context.new_directory("one_by_one")

    def program(module: str, *args: str, result: Path = directory / "unused") -> Command:
        return context.program(f"peers.{module}", f"--directory={directory}", *args, result=result)

    with (
        one_by_one.local_api(context) as api,
        totals_follower(bench, one_by_one.TOTALS) as follower,
        running(
            context,
            program(
                "one_by_one_stream", f"--source={one_by_one.VOTES}", f"--output={one_by_one.TOTALS}"
            ),
        ) as streaming,
        running(
            context,
            program(
                "one_by_one_consumer",
                f"--source={one_by_one.VOTERS}",
                f"--output={one_by_one.VOTES}",
            ),
        ) as consuming,
    ):

        def check() -> None:
            streaming.check()
            consuming.check()

        def send(ballots: int, all_ballots: int) -> Path:
            result = directory / f"{all_ballots}.json"
            arguments = (
                f"--expected={ballots}",
                f"--api-url={api}",
                f"--output={one_by_one.VOTERS}",
            )
            bench.run([program("one_by_one_producer", *arguments, result=result)])
            await_condition("totals", lambda: follower.reaches(all_ballots), check=check)
            return result

        send(warm_up, warm_up)
        everything = warm_up + voters
        sent = read_program(send(voters, everything))
        start, end = sent.ended_at - sent.seconds, follower.changed_at
    rows = bench.conn.execute("SELECT candidate_id, count(*) FROM one_by_one.votes GROUP BY 1")
    stored: dict[str, int] = dict(rows.fetchall())
    check_counts(PEER, {"table": stored, "topic": topic_totals(bench.messages(one_by_one.TOTALS))})
    check_counts(PEER, {"ballots": everything, "votes": sum(stored.values())})
    return StageRun(
        counted=voters, votes=voters, seconds=end - start, cpu_us={}, peak_memory=0, totals=stored
    )
