"""The demo's command line: `python -m voting_infra.demo`, which `nox -s demo` calls."""

import logging
import signal
from pathlib import Path

import click
from rich.console import Console

from voting_core.command import run_command
from voting_core.exceptions import SetupError
from voting_infra.demo.election import run_election
from voting_infra.demo.options import DemoOptions
from voting_infra.exceptions import StackError

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
    help="How many people vote; a results file decides it by itself.",
)
@click.option("--rate", type=click.FloatRange(min=0), help="Most voters a second.")
@click.option("--seed", default="voting", help="Seed of the voters that are made up.")
@click.option("--api-url", help="The Random User API, if not the real one.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Dashboard's; 0: a free one."
)
@click.option("--headless", is_flag=True, help="No browser: count to the end, compare, exit.")
@click.option(
    "--summary", type=click.Path(dir_okay=False, path_type=Path), help="Write the totals as JSON."
)
def demo(**options: object) -> int:
    """Count a whole election on real Kafka, PostgreSQL, Spark and Streamlit.

    The exit code is 0 only if every place agrees on every total.
    """
    return _run(DemoOptions(**options))  # type: ignore[arg-type]


def _run(options: DemoOptions) -> int:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return 0 if run_election(options, Console()) else 1
    except StackError as error:
        raise SetupError(str(error)) from error


def main() -> None:
    """Run the command."""
    run_command(demo)


if __name__ == "__main__":
    main()
