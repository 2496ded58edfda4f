"""The arithmetic of the benchmark: rounds, figures, latencies, CPU time, reports."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from bench import __main__ as command_line
from bench.__main__ import PEERS_PYTHON, bench
from bench.latency import Counting, Matcher, percentile
from bench.meter import metering
from bench.picture import save_picture
from bench.report import markdown_table, result_table
from bench.results import CountsDiffer, Figure, Goal, Row, check_counts, median_cpu
from bench.rounds import run_rounds
from bench.rows import ROWS
from voting_core.exceptions import FatalError, InputError


def sample_row(**changes: Any) -> Row:
    """Return a row in which ours is at half of the limit, and twice as good as the best peer."""
    values: dict[str, Any] = {
        "name": "consumer",
        "unit": "votes/s",
        "ours": Figure.of([900, 1000, 1200]),
        "peers": {"slow": Figure.of([100]), "better": Figure.of([500])},
        "limit": ("SQL", Figure.of([2000])),
        "goals": [Goal.at_least("≥ 0.7 of the limit", 0.5, 0.7)],
        "cpu_us": {"consumer": 30.0, "Kafka": 12.0},
    }
    return Row(**values | changes)


def test_variants_take_turns() -> None:
    """A round is over before the next one begins."""
    calls: list[str] = []

    def variant(name: str) -> int:
        calls.append(name)
        return len(calls)

    found = run_rounds({"a": lambda: variant("a"), "b": lambda: variant("b")}, 3, lambda _: None)
    assert calls == ["a", "b", "a", "b", "a", "b"]
    assert found == {"a": [1, 3, 5], "b": [2, 4, 6]}


def test_a_figure_is_the_median_with_its_spread() -> None:
    """One slow round changes the spread, not the figure."""
    assert Figure.of([10, 1000, 1010]) == Figure(1000, 10, 1010)


def test_the_cpu_time_is_that_of_the_median_round() -> None:
    """The shares of one round belong together; neither the last nor the best round is shown."""
    low, middle, high = {"a": 1.0, "b": 2.0}, {"a": 4.0, "b": 0.0}, {"a": 0.0, "b": 9.0}
    assert median_cpu([high, middle, low]) == middle
    assert median_cpu([high, low]) == high


def test_ratios_are_greater_for_the_better() -> None:
    """The best peer decides, whether more or less is better."""
    row = sample_row()
    assert row.ratio_to_limit == 0.5
    assert row.ratio_to_best_peer == 2
    latency = sample_row(
        more_is_better=False,
        ours=Figure.of([100]),
        peers={"slow": Figure.of([1500]), "better": Figure.of([300])},
        limit=("floor", Figure.of([50])),
    )
    assert latency.ratio_to_limit == 0.5
    assert latency.ratio_to_best_peer == 3


def test_a_row_without_peers_and_limit_has_no_ratios() -> None:
    """A ratio that is not known is null."""
    written = sample_row(peers={}, limit=None, cpu_us={}).as_json()
    for name in ("limit", "ratio_to_limit", "ratio_to_best_peer", "cpu_us_per_vote"):
        assert written[name] is None


def test_a_row_as_json_has_the_agreed_fields() -> None:
    """The fields are those that users read."""
    written = sample_row().as_json()
    assert written["ours"] == 1000
    assert written["peers"] == {"slow": 100, "better": 500}
    assert written["limit"] == {"name": "SQL", "value": 2000}
    assert written["cpu_us_per_vote"] == 42
    assert written["spread"]["ours"] == {"low": 900, "high": 1200}


@pytest.mark.parametrize("other", [{"x": 2}, {"x": 1, "y": 1}, None, 1])
def test_variants_that_counted_other_votes_are_refused(other: object) -> None:
    """A figure of other votes means nothing."""
    check_counts("stream", {"ours": {"x": 1}, "same": {"x": 1}})
    with pytest.raises(CountsDiffer, match="stream: other counted"):
        check_counts("stream", {"ours": {"x": 1}, "other": other})


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal.at_least("", 5, 5), True),
        (Goal.at_least("", 4.9, 5), False),
        (Goal.below("", 5, 5), False),
        (Goal.below("", 4.9, 5), True),
        (Goal.at_most("", 5, 5), True),
        (Goal.at_most("", 5.1, 5), False),
    ],
)
def test_a_goal_is_met_or_not(goal: Goal, met: bool) -> None:
    """The value itself is enough, except for a goal that must be below it."""
    assert goal.met is met


def test_a_percentile_is_one_of_the_values() -> None:
    """It is the smallest that so many values do not exceed."""
    values = [float(n) for n in range(100, 0, -1)]
    assert percentile(values, 50) == 50
    assert percentile(values, 99) == 99
    assert percentile([7.0], 99) == 7


class _Record:
    """A record with a topic, a key and a total."""

    def __init__(self, topic: str, group: str, total: int = 0) -> None:
        self.of, self.group, self.total = topic, group, total

    def topic(self) -> str:
        """Return the topic."""
        return self.of


def test_a_vote_is_counted_by_the_first_total_that_includes_it() -> None:
    """Totals may jump, arrive early, and fall back after a crash; each group is on its own."""
    matcher = Matcher(
        Counting("votes", "totals", [], lambda m: m.group, lambda m: m.total)  # type: ignore[attr-defined]
    )
    events = [
        (0, _Record("votes", "a")),
        (1, _Record("votes", "b")),
        (2, _Record("votes", "a")),
        (5, _Record("totals", "a", 2)),
        (6, _Record("totals", "a", 1)),
        (7, _Record("totals", "b", 2)),
        (8, _Record("votes", "b")),
    ]
    for now, record in events:
        matcher.add(record, now)  # type: ignore[arg-type]
    assert matcher.counted == matcher.votes == 4
    assert matcher.totals() == {"a": 2, "b": 2}
    assert sorted(matcher.latencies(first=0)) == [0, 3, 5, 6]
    assert sorted(matcher.latencies(first=2)) == [0, 3]


@pytest.fixture
def busy_child() -> Iterator["subprocess.Popen[bytes]"]:
    """A process whose child keeps a core busy."""
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"
    with subprocess.Popen([sys.executable, "-c", program], start_new_session=True) as process:
        yield process
        os.killpg(process.pid, signal.SIGKILL)


def test_a_meter_sees_descendants(busy_child: "subprocess.Popen[bytes]") -> None:
    """The CPU time of a process includes that of its children, between two times."""
    with metering({"tree": busy_child.pid}) as meter:
        deadline = time.monotonic() + 60
        while meter.cpu_seconds("tree", 0, time.time()) < 0.2 and time.monotonic() < deadline:
            time.sleep(0.05)
    now = time.time()
    assert meter.cpu_seconds("tree", 0, now) >= 0.2
    assert meter.cpu_seconds("tree", now, now + 1) == 0
    assert meter.peak_memory("tree") > 2**20


def test_reports_show_every_figure(tmp_path: Path) -> None:
    """The table, the Markdown and the picture can be made of every kind of row."""
    rows = [sample_row(), sample_row(name="start", peers={}, limit=None, cpu_us={})]
    console = Console(width=200)
    with console.capture() as capture:
        console.print(result_table(rows))
    text = capture.get()
    for expected in (
        r"consumer +│ ours +│ 1,000 \(900–1,200\) +│ votes/s",
        r"│ slow +│ 100 +│ ours is 10 × as good",
        r"│ better +│ 500 +│ ours is 2 × as good",
        r"limit; ours reaches 0\.5",
        r"µs of CPU a vote +│ 42",
        r"goal NOT MET",
    ):
        assert re.search(expected, re.sub(" +", " ", text)), expected
    markdown = markdown_table({"rows": [row.as_json() for row in rows]})
    assert "| `consumer`, votes/s | **1,000** (900–1,200) | slow: 100; better: 500 |" in markdown
    assert "| `consumer` | ≥ 0.7 of the limit | 0.5 | **not met** |" in markdown
    picture = tmp_path / "picture.png"
    save_picture(rows, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_an_unknown_row_is_a_usage_error() -> None:
    """The message names the rows that there are."""
    result = CliRunner().invoke(bench, ["--rows=producer,nonsense"])
    assert result.exit_code == 2
    assert "no row nonsense; there is producer, consumer, stream" in result.output


def test_the_processors_environment_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, nothing is started."""
    monkeypatch.delenv(PEERS_PYTHON, raising=False)
    result = CliRunner().invoke(bench, ["--quick"])
    assert isinstance(result.exception, InputError)
    assert PEERS_PYTHON in str(result.exception)


def test_rows_before_a_failing_one_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Minutes of measurement are not lost, and the report says what is missing."""

    def fail(_: object) -> Row:
        raise CountsDiffer("stream: bytewax counted 1, its votes 2")

    for name in ("open_stack", "Supervisor", "open_bench"):
        monkeypatch.setattr(command_line, name, lambda *_, **__: nullcontext())
    monkeypatch.setitem(ROWS, "consumer", lambda _: sample_row())
    monkeypatch.setitem(ROWS, "stream", fail)
    monkeypatch.setenv(PEERS_PYTHON, sys.executable)
    written = tmp_path / "bench.json"
    picture = tmp_path / "bench.png"
    options = ["--rows=consumer,stream,latency", f"--json={written}", f"--picture={picture}"]
    result = CliRunner().invoke(bench, options)
    assert isinstance(result.exception, FatalError)
    measured = json.loads(written.read_text(encoding="utf-8"))
    assert [row["name"] for row in measured["rows"]] == ["consumer"]
    assert measured["not_measured"] == ["stream", "latency"]
    assert "not measured: stream, latency" in result.output
    assert picture.exists()
