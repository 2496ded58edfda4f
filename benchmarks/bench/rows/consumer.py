"""Ballots per second that a consumer decides, stores and publishes."""

from functools import partial

from bench import one_by_one
from bench.context import PARTITIONS, Context, Program
from bench.results import Figure, Goal, Row, check_counts, median_cpu
from bench.rounds import run_rounds
from bench.stages import StageRun, consume
from bench.totals import stored_totals, vote_totals
from voting_core import topics

__all__ = ["measure"]

PEER = "one ballot at a time"
LIMIT = "the same SQL alone"
LEAST_OF_LIMIT = 0.7
LEAST_RATE = 25_000
# The most that the consumer takes by default; its own batches are what has arrived.
BATCH = 5_000


def measure(context: Context) -> Row:
    """Measure the consumer against one ballot at a time, and against its SQL alone."""
    sizes, ballots = context.sizes, context.sizes.voters
    context.prepare()
    runs: dict[str, list[StageRun | Program]] = run_rounds(
        {
            "ours": partial(_decide, context, ballots),
            PEER: partial(_one_at_a_time, context, sizes.one_by_one),
            LIMIT: partial(_sql_alone, context, ballots),
        },
        sizes.rounds,
        context.print_line,
    )
    ours, peer, limit = (Figure.of([r.rate for r in runs[name]]) for name in ("ours", PEER, LIMIT))
    return Row(
        name="consumer",
        unit="votes/s",
        ours=ours,
        peers={PEER: peer},
        limit=(LIMIT, limit),
        goals=[
            Goal.at_least(
                f"≥ {LEAST_OF_LIMIT} of the limit", ours.median / limit.median, LEAST_OF_LIMIT
            ),
            Goal.at_least(f"≥ {LEAST_RATE:,} votes/s", ours.median, LEAST_RATE),
        ],
        cpu_us=median_cpu([run.cpu_us for run in runs["ours"] if isinstance(run, StageRun)]),
        rounds=sizes.rounds,
        votes={name: results[0].counted for name, results in runs.items()},
    )


def _decide(context: Context, ballots: int) -> StageRun:
    run = consume(context, ballots)
    # What the limit inserts afterwards.
    context.bench.conn.execute(
        "DROP TABLE IF EXISTS bench.votes;"
        f"CREATE TABLE bench.votes AS SELECT v.*, ballot <= {context.sizes.warm_up} AS warm_up"
        " FROM votes v JOIN bench.voters b USING (voter_id) JOIN bench.ballots USING (number)"
    )
    return run


def _one_at_a_time(context: Context, ballots: int) -> Program:
    bench = context.bench
    bench.begin(PARTITIONS)
    one_by_one.begin(context)
    context.workload.register(ballots)
    context.workload.send(0, ballots)
    program = context.run_program(
        "peers.one_by_one_consumer",
        *(
            f"--expected={ballots}",
            f"--source={topics.VOTERS.name}",
            f"--output={one_by_one.VOTES}",
        ),
    )
    # It draws by chance, so its totals are compared with those of its own table and topic only.
    rows = bench.conn.execute("SELECT candidate_id, count(*) FROM one_by_one.votes GROUP BY 1")
    check_counts(
        PEER,
        {
            "it": program.totals,
            "table": dict(rows.fetchall()),
            "topic": vote_totals(bench.messages(one_by_one.VOTES)),
        },
    )
    check_counts(PEER, {"ballots": ballots, "it": program.counted})
    return program


def _sql_alone(context: Context, ballots: int) -> Program:
    bench, workload = context.bench, context.workload
    bench.begin(PARTITIONS)
    workload.register(context.sizes.warm_up + ballots)
    program = context.run_program("limits.decide_in_database", f"--batch={BATCH}")
    kept = bench.conn.execute("SELECT candidate_id, count(*) FROM bench.votes GROUP BY 1")
    check_counts(
        LIMIT,
        {
            "our consumer": dict(kept.fetchall()),
            "table": stored_totals(bench),
            "it": program.totals,
        },
    )
    check_counts(LIMIT, {"ballots": ballots, "it": program.counted})
    return program
