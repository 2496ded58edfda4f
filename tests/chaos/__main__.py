"""The command line of the faults: `python -m chaos`, which `nox -s chaos` calls."""

import logging
import os
import signal
from pathlib import Path

import click

from chaos.run import ChaosOptions, run_chaos
from voting_core.exceptions import SetupError
from voting_core.service.cli import run_command
from voting_core.service.java import find_java
from voting_infra.exceptions import StackError


@click.command(name="chaos", context_settings={"show_default": True})
@click.option("--kills", type=click.IntRange(min=1), default=30, help="How often to kill.")
@click.option("--seed", default="1", help="Decides what is killed and when, and who gets votes.")
@click.option("--voters", type=click.IntRange(min=100), default=30_000, help="How many vote.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what was found as JSON.",
)
def chaos(kills: int, seed: str, voters: int, report: Path | None) -> int:
    """Kill, pause and reset the parts of the pipeline under load, and look for lost ballots.

    The exit code is 0 only if every ballot was counted exactly once in every place.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    find_java(os.environ)
    if report is not None and not report.absolute().parent.is_dir():
        raise click.BadParameter(f"{report.parent} is no folder", param_hint="--report")
    options = ChaosOptions(kills=kills, seed=seed, voters=voters, report=report)
    try:
        return 0 if run_chaos(options, lambda line: click.echo(line)) else 1
    except StackError as error:
        raise SetupError(str(error)) from error


def main() -> None:
    """Run the command."""
    run_command(chaos)


if __name__ == "__main__":
    main()
