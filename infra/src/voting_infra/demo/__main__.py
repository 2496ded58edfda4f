"""The demo's command line: `python -m voting_infra.demo`, which `nox -s demo` calls."""

import logging
import os
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from voting_core.exceptions import SetupError
from voting_core.service.cli import run_command
from voting_core.service.java import find_java
from voting_core.service.logging import configure_logging
from voting_core.service.settings import LogSettings
from voting_infra.demo.election import run_election
from voting_infra.demo.interrupts import Interrupts
from voting_infra.demo.services import DemoOptions
from voting_infra.exceptions import StackError
from voting_producer.sources.results_file import read_results

# Slow enough to watch the count.
WATCHING_RATE = 2_000

US_2020 = Path(__file__).parents[3] / "data" / "us-president-2020-by-county.csv"


@click.command(name="demo", context_settings={"show_default": True})
@click.option(
    "--source",
    type=click.Choice(["results", "synthetic", "random-user"]),
    default="results",
    help="Where the voters come from.",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=US_2020,
    show_default="the US presidential election of 2020 by county",
    help="Results file to replay.",
)
@click.option("--scale", type=click.IntRange(min=1), default=1000, help="One vote for every K.")
@click.option(
    "--voters",
    type=click.IntRange(min=1),
    default=10_000,
    help="Number of voters; a results file determines it by itself.",
)
@click.option("--year", help="Year to replay of a results file with several.")
@click.option("--office", help="Office to replay of a results file with several.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    help=f"Most voters a second, 0 for no limit. Default: {WATCHING_RATE:,}, or 0 with --headless.",
)
@click.option("--seed", default="voting", help="Seed of the invented voters.")
@click.option("--api-url", help="The Random User API, if not the real one.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Dashboard's; 0: a free one."
)
@click.option("--headless", is_flag=True, help="No browser: count to the end, compare, exit.")
@click.option(
    "--summary", type=click.Path(dir_okay=False, path_type=Path), help="Write the totals as JSON."
)
def demo(rate: float | None, headless: bool, **options: Any) -> int:
    """Count a whole election on real Kafka, PostgreSQL, Spark and Streamlit.

    The exit code is 0 only if every place agrees on every total.
    """
    if rate is None:
        rate = 0 if headless else WATCHING_RATE
    return _run(DemoOptions(rate=rate, headless=headless, **options))


def _run(options: DemoOptions) -> int:
    configure_logging(LogSettings(format="console"), "demo")
    # The setup is shown as a phase.
    logging.getLogger("voting_core.operator").setLevel(logging.WARNING)
    interrupts = Interrupts()
    interrupts.install()
    # What the user can get wrong is checked before anything is started.
    find_java(os.environ)
    if options.source == "results":
        read_results(options.results, year=options.year, office=options.office)
    try:
        return 0 if run_election(options, Console(), interrupts) else 1
    except StackError as error:
        raise SetupError(str(error)) from error


def main() -> None:
    """Run the command."""
    run_command(demo)


if __name__ == "__main__":
    main()
