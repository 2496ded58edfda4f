"""Each row of the benchmark, with some hundred votes: everyone counts the same ones."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.__main__ import PEERS_PYTHON
from bench.context import Context
from bench.results import Row
from bench.rows import ROWS
from bench.sizes import TINY
from bench.workload import Workload
from harness.election import open_bench
from voting_infra import Supervisor, open_stack
from voting_infra.logs import new_log_directory

VARIANTS = {
    "producer": {"ours", "one voter at a time", "COPY and produce"},
    "consumer": {"ours", "one ballot at a time", "the same SQL alone"},
    "stream": {"ours", "quixstreams", "bytewax", "two Spark queries", "Spark reads and parses"},
    "latency": {"ours", "batches of 1 second", "quixstreams", "real time, forwarding only"},
    "pipeline": {"ours", "services of one voter at a time"},
}


@pytest.fixture(scope="session")
def context() -> Iterator[Context]:
    """A stack, and the environment of the stream processors, which the tests require."""
    peers_python = os.environ.get(PEERS_PYTHON)
    if not peers_python:
        pytest.fail(f"{PEERS_PYTHON} is not set: run the tests with nox -s integration")
    logs = new_log_directory()
    with (
        open_stack(log_dir=logs) as stack,
        Supervisor(logs) as services,
        open_bench(services, stack) as bench,
    ):
        yield Context(bench, TINY, Path(peers_python), print, Workload(bench))


def check_row(row: Row, name: str) -> None:
    """Check what all rows have in common."""
    written = row.as_json()
    assert written["name"] == name
    assert written["ours"] > 0
    assert written["goals"]
    assert all(value > 0 for value in written["peers"].values())


@pytest.mark.parametrize("name", VARIANTS)
def test_ours_peers_and_limit_count_the_same_votes(context: Context, name: str) -> None:
    """A row would fail if totals differed; here all variants get the same votes as well."""
    row = ROWS[name](context)
    check_row(row, name)
    assert row.votes == dict.fromkeys(VARIANTS[name], TINY.voters)
    assert row.limit is not None
    assert row.cpu_us_per_vote


def test_growth_measures_each_stage_at_each_size(context: Context) -> None:
    """Time and memory of each stage are known at each size."""
    row = ROWS["growth"](context)
    check_row(row, "growth")
    assert set(row.details) == {str(votes) for votes in TINY.growth}
    for stages in row.details.values():
        assert set(stages) == {"producer", "consumer", "stream"}
        for stage in stages.values():
            assert stage["seconds"] > 0
            assert stage["peak_memory_mib"] > 10


def test_the_demo_starts_and_shows_a_vote(context: Context) -> None:
    """The time to the first vote on the page is measured with a browser."""
    check_row(ROWS["start"](context), "start")
