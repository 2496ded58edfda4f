"""Voters per second into PostgreSQL and `voters_topic`."""

from functools import partial

from bench import one_by_one
from bench.context import PARTITIONS, Context, Program
from bench.results import Figure, Goal, Row, check_counts, median_cpu
from bench.rounds import run_rounds
from bench.stages import StageRun, produce
from bench.workload import BALLOTS
from voting_core import topics

__all__ = ["measure"]

PEER = "one voter at a time"
LIMIT = "COPY and produce"
LEAST_OF_LIMIT = 0.5
LEAST_OF_PEER = 50


def measure(context: Context) -> Row:
    """Measure synthetic voters against one at a time, and against writing what is ready."""
    voters, sizes = context.sizes.voters, context.sizes
    context.prepare()
    produce(context, sizes.warm_up)
    runs: dict[str, list[StageRun | Program]] = run_rounds(
        {
            "ours": partial(produce, context, voters),
            PEER: partial(_one_at_a_time, context, sizes.one_by_one),
            LIMIT: partial(_copy_and_produce, context, voters),
        },
        sizes.rounds,
        context.print_line,
    )
    ours, peer, limit = (Figure.of([r.rate for r in runs[name]]) for name in ("ours", PEER, LIMIT))
    to_limit, to_peer = ours.median / limit.median, ours.median / peer.median
    return Row(
        name="producer",
        unit="voters/s",
        ours=ours,
        peers={PEER: peer},
        limit=(LIMIT, limit),
        goals=[
            Goal.at_least(f"≥ {LEAST_OF_LIMIT} of the limit", to_limit, LEAST_OF_LIMIT),
            Goal.at_least(f"≥ {LEAST_OF_PEER} × one voter at a time", to_peer, LEAST_OF_PEER),
        ],
        cpu_us=median_cpu([run.cpu_us for run in runs["ours"] if isinstance(run, StageRun)]),
        rounds=sizes.rounds,
        votes={name: results[0].counted for name, results in runs.items()},
    )


def _one_at_a_time(context: Context, voters: int) -> Program:
    one_by_one.begin(context)
    with one_by_one.local_api(context) as address:
        program = context.run_program(
            "peers.one_by_one_producer",
            *(f"--expected={voters}", f"--api-url={address}", f"--output={one_by_one.VOTERS}"),
        )
    sent = sum(1 for _ in context.bench.messages(one_by_one.VOTERS))
    stored = one_by_one.voter_count(context)
    check_counts(PEER, {"asked": voters, "table": stored, "topic": sent, "it": program.counted})
    return program


def _copy_and_produce(context: Context, voters: int) -> Program:
    bench, workload = context.bench, context.workload
    bench.begin(PARTITIONS)
    rows = workload.voters(voters)
    program = context.run_program(
        "limits.copy_and_produce",
        *(f"--expected={voters}", f"--rows={rows}"),
        *(f"--source={BALLOTS.name}", f"--output={topics.VOTERS.name}"),
    )
    sent = sum(1 for _ in bench.messages(topics.VOTERS.name))
    stored = bench.conn.execute("SELECT count(*) FROM voters").fetchone()
    check_counts(LIMIT, {"asked": voters, "topic": sent, "it": program.counted})
    check_counts(LIMIT, {"rows": (rows,), "table": stored})
    return program
