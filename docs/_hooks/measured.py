"""The section of the measured performance, from the file that `nox -s bench` wrote."""

import json
from pathlib import Path

from bench.report import machine_lines, markdown_table

__all__ = ["benchmark_section"]

_BENCHMARK = Path(__file__).parents[1] / "benchmark.json"


def benchmark_section() -> str:
    """Return the rows as tables, after the machine and what else it did."""
    if not _BENCHMARK.exists():
        return "Not measured yet: `nox -s bench -- --json docs/benchmark.json` fills this section."
    measured = json.loads(_BENCHMARK.read_text(encoding="utf-8"))
    lines = "\n".join(f"- {line}" for line in machine_lines(measured))
    return f"Sizes: {measured['sizes']}.\n\n{lines}\n\n{markdown_table(measured)}"
