"""The scaling benchmark on a small election."""

import json
from pathlib import Path

from testkit.processes import run_module


def test_rates_are_measured_and_printed(tmp_path: Path) -> None:
    """Each stage has a rate with two of each service, and both tables are printed."""
    report = tmp_path / "rates.json"
    done = run_module(
        "scaling",
        *("--voters", "10000", "--count", "2", "--report", str(report)),
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (rates,) = json.loads(report.read_text(encoding="utf-8"))["rates"]
    assert rates["count"] == 2
    assert min(rates["producers"], rates["consumers"], rates["stream"]) > 0
    assert f"| 2 | {rates['producers']:,.0f} | {rates['consumers']:,.0f} |" in done.stdout
    assert "| 160 million votes in 12 hours | 3,704 |" in done.stdout
