"""The rows as a table on the terminal, and as Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table

from bench.results import Figure, Goal, Row

__all__ = ["machine_lines", "markdown_table", "result_table"]


def result_table(rows: Sequence[Row]) -> Table:
    """Return a section for each row, with all that it compares."""
    table = Table(title="Medians, with the least and the greatest value")
    table.add_column("row")
    table.add_column("")
    table.add_column("measured", justify="right")
    table.add_column("")
    for row in rows:
        table.add_section()
        table.add_row(row.name, "ours", _figure(row.ours), row.unit)
        if row.limit is not None:
            name, figure = row.limit
            table.add_row(
                "", name, _figure(figure), f"limit; ours reaches {_ratio(row.ratio_to_limit)}"
            )
        for name, figure in row.peers.items():
            table.add_row(
                "", name, _figure(figure), f"ours is {_number(row.ratio_to(figure))} × as good"
            )
        if row.cpu_us_per_vote is not None:
            shares = ", ".join(f"{name} {us:.0f}" for name, us in row.cpu_us.items())
            table.add_row("", "µs of CPU a vote", _number(row.cpu_us_per_vote), shares)
        for goal in row.goals:
            table.add_row("", goal.text, _number(goal.value), _mark(goal))
    return table


def _figure(figure: Figure) -> str:
    if figure.low == figure.high:
        return _number(figure.median)
    return f"{_number(figure.median)} ({_number(figure.low)}–{_number(figure.high)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _ratio(ratio: float | None) -> str:
    return "–" if ratio is None else _number(ratio)


def _mark(goal: Goal) -> str:
    mark, color = ("met", "green") if goal.met else ("NOT MET", "red")
    return f"goal [{color}]{mark}[/{color}]"


def machine_lines(measured: dict[str, Any]) -> Iterable[str]:
    """Yield what the machine is, and what else it did."""
    machine, load = measured["machine"], measured["load"]
    yield (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"{machine['system']}, Python {machine['python']}, Java {machine['java']}"
    )
    yield ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    yield (
        f"load before {load['load_before']}, after {load['load_after']}; other processes kept "
        f"{load['cores_taken_by_others']} cores busy; {load['seconds']:.0f} s in all"
    )
    if missing := measured["not_measured"]:
        yield f"not measured: {', '.join(missing)}"


def markdown_table(measured: dict[str, Any]) -> str:
    """Return the measurement of a JSON file as a Markdown table."""
    header = ("row", "ours", "peers", "limit", "of the limit", "× best peer", "µs of CPU a vote")
    lines = [header, ("---",) * len(header)]
    for row in measured["rows"]:
        limit = row["limit"]
        peers = [f"{name}: {_number(value)}" for name, value in row["peers"].items()]
        cpu = row["cpu_us_per_vote"]
        lines.append(
            (
                f"`{row['name']}`, {row['unit']}",
                f"**{_number(row['ours'])}**{_range(row['spread']['ours'])}",
                "; ".join(peers) or "–",
                "–" if limit is None else f"{limit['name']}: {_number(limit['value'])}",
                _ratio(row["ratio_to_limit"]),
                _ratio(row["ratio_to_best_peer"]),
                "–" if cpu is None else _number(cpu),
            )
        )
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    goals = "\n".join(
        f"| `{row['name']}` | {goal['text']} | {_number(goal['value'])} "
        f"| {'met' if goal['met'] else '**not met**'} |"
        for row in measured["rows"]
        for goal in row["goals"]
    )
    return f"{table}\n\n| row | goal | measured | |\n| --- | --- | --- | --- |\n{goals}"


def _range(spread: dict[str, float]) -> str:
    low, high = spread["low"], spread["high"]
    return "" if low == high else f" ({_number(low)}–{_number(high)})"
