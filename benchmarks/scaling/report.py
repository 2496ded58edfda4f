"""The measured rates and the required services, as Markdown tables."""

from collections.abc import Iterable, Sequence

from scaling.sizing import Measured, Need

__all__ = ["measured_table", "needs_table"]


def measured_table(steps: Sequence[Measured]) -> str:
    """Return the measured rates as a table with a row for each number of services."""
    return _table(
        (
            "partitions, and services of each kind",
            "producers, votes/s",
            "consumers, votes/s",
            "stream, votes/s",
        ),
        (
            (
                str(step.count),
                *(f"{rate:,.0f}" for rate in (step.producers, step.consumers)),
                f"{step.stream:,.0f}",
            )
            for step in steps
        ),
    )


def needs_table(needs: Sequence[Need]) -> str:
    """Return the services that each demand requires as a table."""
    return _table(
        ("election", "votes/s", "producers", "consumers and partitions", "stream's cores"),
        (
            (
                need.demand.name,
                f"{need.demand.rate:,.0f}",
                f"{need.producers:,}",
                f"{need.consumers:,}",
                f"{need.stream_cores:,}",
            )
            for need in needs
        ),
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))
