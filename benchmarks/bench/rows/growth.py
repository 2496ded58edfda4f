"""Time and memory of each stage with more and more votes."""

from collections.abc import Callable
from functools import partial

from bench.context import Context
from bench.results import Figure, Goal, Row, check_counts
from bench.rows.stream import batch_size, fill_votes
from bench.stages import StageRun, consume, produce, tally

__all__ = ["measure"]

LIMIT = "linear"
MOST_TIME = 1.1
MOST_MEMORY = 1.1
# Of the stream at the smallest size; at others, its batches are as large.
BATCHES = 4


def measure(context: Context) -> Row:
    """Measure each stage at each size; ours is the stage whose time per vote grows most."""
    context.prepare()
    sizes = context.sizes.growth
    steps: dict[int, dict[str, StageRun]] = {}
    for votes in sizes:
        stages: dict[str, Callable[[], StageRun]] = {
            "producer": partial(produce, context, votes),
            "consumer": partial(consume, context, votes),
            "stream": partial(_tally, context, votes, sizes[0]),
        }
        steps[votes] = {}
        for name, run in stages.items():
            result = steps[votes][name] = run()
            check_counts("growth", {"asked": votes, name: result.counted})
            memory = f"{result.peak_memory / 2**20:,.0f} MiB"
            context.print_line(f"  {votes:>9,} votes  {name:<10} {result}  {memory}")
    smallest, largest = steps[sizes[0]], steps[sizes[-1]]
    times = {n: smallest[n].rate / largest[n].rate for n in smallest}
    memories = {n: largest[n].peak_memory / smallest[n].peak_memory for n in smallest}
    worst = max(times.values())
    return Row(
        name="growth",
        unit=f"time a vote at {sizes[-1]:,}, of that at {sizes[0]:,}, of the worst stage",
        ours=Figure.of([worst]),
        limit=(LIMIT, Figure.of([1.0])),
        more_is_better=False,
        goals=[
            *(
                Goal.at_most(f"{n}: time ≤ {MOST_TIME} × linear", t, MOST_TIME)
                for n, t in times.items()
            ),
            *(
                Goal.at_most(f"{n}: memory ≤ {MOST_MEMORY} ×", m, MOST_MEMORY)
                for n, m in memories.items()
            ),
        ],
        votes={f"{votes:,}": votes for votes in sizes},
        details={
            f"{votes}": {
                name: {
                    "seconds": run.counted / run.rate,
                    "votes_per_second": run.rate,
                    "peak_memory_mib": run.peak_memory / 2**20,
                    "cpu_us_per_vote": dict(run.cpu_us),
                }
                for name, run in stages_of.items()
            }
            for votes, stages_of in steps.items()
        },
    )


def _tally(context: Context, votes: int, smallest: int) -> StageRun:
    fill_votes(context, votes)
    return tally(context, batch_size(context, BATCHES * votes // smallest))
