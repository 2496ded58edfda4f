"""Votes per second that are tallied from a full topic."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import attrs

from bench.context import PARTITIONS, Context, Program
from bench.results import Figure, Goal, Row, check_counts, median_cpu
from bench.rounds import run_rounds
from bench.stages import StageRun, tally
from bench.totals import topic_totals, vote_totals
from bench.workload import bench_topic, produce_all
from voting_core import topics
from voting_core.kafka import create_topics, delete_topics, offset_ranges

__all__ = ["batch_size", "fill_votes", "measure"]

TWO_QUERIES = "two Spark queries"
PROCESSORS = {"quixstreams": "peers.quix_count", "bytewax": "peers.bytewax_count"}
PATHWAY = "pathway"
LIMIT = "Spark reads and parses"
LEAST_OF_LIMIT = 0.7
LEAST_OF_PEERS = 3

_FEWER_VOTES = "bench_votes"
_IDLE_SECONDS = 2


@attrs.frozen
class _Votes:
    """The votes that are counted, and the totals that everyone must find.

    Attributes:
        all: Those on `votes_topic`.
        fewer: Those on the topic of the stream processors.
        batch: Most offsets of a Spark batch.
    """

    all: Mapping[str, int]
    fewer: Mapping[str, int]
    batch: int


def measure(context: Context) -> Row:
    """Measure all aggregates against counting per candidate only, and against parsing only."""
    sizes = context.sizes
    context.prepare()
    votes = _fill(context)
    runs: dict[str, list[StageRun | Program]] = run_rounds(
        {
            "ours": partial(_tally, context, votes),
            **{
                name: partial(_processor, context, name, module, context.peers_python, votes)
                for name, module in PROCESSORS.items()
            },
            **_pathway(context, votes),
            TWO_QUERIES: partial(_two_queries, context, votes),
            LIMIT: partial(_parse, context, votes),
        },
        sizes.slow_rounds,
        context.print_line,
    )
    figures = {name: Figure.of([r.rate for r in results]) for name, results in runs.items()}
    ours, limit = figures.pop("ours"), figures.pop(LIMIT)
    to_peers = min(ours.median / peer.median for peer in figures.values())
    return Row(
        name="stream",
        unit="votes/s",
        ours=ours,
        peers=figures,
        limit=(LIMIT, limit),
        goals=[
            Goal.at_least(
                f"≥ {LEAST_OF_LIMIT} of the limit", ours.median / limit.median, LEAST_OF_LIMIT
            ),
            Goal.at_least(f"≥ {LEAST_OF_PEERS} × the best peer", to_peers, LEAST_OF_PEERS),
        ],
        cpu_us=median_cpu([run.cpu_us for run in runs["ours"] if isinstance(run, StageRun)]),
        rounds=sizes.slow_rounds,
        votes={name: results[0].counted for name, results in runs.items()},
    )


def fill_votes(context: Context, votes: int) -> None:
    """Fill `votes_topic` of a new election."""
    bench = context.bench
    bench.begin(PARTITIONS)
    context.workload.register(votes)
    context.workload.send(0, votes)
    bench.run([bench.service("voting-consumer", "run", f"--until-idle={_IDLE_SECONDS}")])


def batch_size(context: Context, batches: int) -> int:
    """Return how many offsets a Spark batch takes to read `votes_topic` in so many batches.

    Markers of transactions occupy offsets as well, and Spark rounds the share of each partition
    down. Without allowing for both, a nearly empty batch would be left over.
    """
    ranges = offset_ranges(context.bench.admin, topics.VOTES.name).values()
    return math.ceil(sum(each.length for each in ranges) / batches) + len(ranges)


def _fill(context: Context) -> _Votes:
    sizes, bench = context.sizes, context.bench
    fill_votes(context, sizes.streamed)
    messages = list(bench.messages(topics.VOTES.name))
    check_counts("stream", {"asked": sizes.streamed, "votes_topic": len(messages)})
    fewer = messages[: sizes.peer_streamed]
    topic = bench_topic(_FEWER_VOTES, PARTITIONS)
    delete_topics(bench.admin, [topic])
    create_topics(bench.admin, [topic], partitions=PARTITIONS, replication=1)
    produce_all(bench, topic.name, [(m.key() or b"", m.value() or b"") for m in fewer])
    batch = batch_size(context, sizes.stream_batches)
    return _Votes(vote_totals(messages), vote_totals(fewer), batch)


def _tally(context: Context, votes: _Votes) -> StageRun:
    run = tally(context, votes.batch)
    check_counts("stream", {"votes_topic": votes.all, "our stream": run.totals})
    check_counts("stream", {"votes_topic": sum(votes.all.values()), "progress": run.counted})
    return run


def _pathway(context: Context, votes: _Votes) -> dict[str, Callable[[], Program]]:
    if context.pathway_python is None:
        return {}
    module, python = "peers.pathway_count", context.pathway_python
    return {PATHWAY: partial(_processor, context, PATHWAY, module, python, votes)}


def _processor(context: Context, name: str, module: str, python: Path, votes: _Votes) -> Program:
    output = _new_output(context, name)
    expected = sum(votes.fewer.values())
    program = context.run_program(
        module,
        *(f"--source={_FEWER_VOTES}", f"--output={output}", f"--expected={expected}"),
        python=python,
    )
    written = topic_totals(context.bench.messages(output))
    check_counts(name, {"its votes": votes.fewer, "it": program.totals, "its topic": written})
    return program


def _two_queries(context: Context, votes: _Votes) -> Program:
    output = _new_output(context, "two_queries")
    expected = sum(votes.all.values())
    program = context.run_program(
        "peers.one_by_one_stream",
        *(f"--source={topics.VOTES.name}", f"--output={output}", f"--expected={expected}"),
        f"--batch={votes.batch}",
    )
    written = topic_totals(context.bench.messages(output))
    check_counts(TWO_QUERIES, {"votes_topic": votes.all, "its topic": written})
    check_counts(TWO_QUERIES, {"votes": expected, "it": program.counted})
    return program


def _parse(context: Context, votes: _Votes) -> Program:
    program = context.run_program(
        "limits.spark_parse", f"--source={topics.VOTES.name}", f"--batch={votes.batch}"
    )
    check_counts(LIMIT, {"votes": sum(votes.all.values()), "it": program.counted})
    return program


def _new_output(context: Context, name: str) -> str:
    """Create the topics that a peer writes, which no run has written, and return the first."""
    output = context.new_directory(f"bench_totals_{name}").name
    outputs = [bench_topic(output), bench_topic(f"{output}_by_state")]
    create_topics(context.bench.admin, outputs, partitions=1, replication=1)
    return output
