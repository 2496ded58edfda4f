"""The command line: `python -m chaos`, which `nox -s chaos` runs."""

import logging
import os
import signal
from pathlib import Path

import click

from chaos.run import ChaosOptions, run_chaos
from voting_core.exceptions import SetupError
from voting_core.service.cli import run_command
from voting_core.service.files import check_writable
from voting_core.service.java import find_java
from voting_infra import StackError
from voting_stream.settings import StreamSettings


@click.command(name="chaos", context_settings={"show_default": True})
@click.option("--kills", type=click.IntRange(min=1), default=30, help="Number of kills.")
@click.option("--seed", default="1", help="Decides what is killed and when, and the votes.")
@click.option("--voters", type=click.IntRange(min=100), default=30_000, help="Number of ballots.")
@click.option(
    "--trigger",
    default=StreamSettings().trigger,
    help="That of the stream, such as '1 second' for micro-batches.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the report (JSON).",
)
def chaos(kills: int, seed: str, voters: int, trigger: str, report: Path | None) -> int:
    """Kill, pause and reset the parts of the pipeline under load, and look for lost ballots.

    The exit code is 0 only if every ballot is counted exactly once in every data store.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    find_java(os.environ)
    if report is not None:
        check_writable(report, "report")
    options = ChaosOptions(kills=kills, seed=seed, voters=voters, trigger=trigger, report=report)
    try:
        return 0 if run_chaos(options, click.echo) else 1
    except StackError as error:
        raise SetupError(str(error)) from error


def main() -> None:
    """Run the command."""
    run_command(chaos)


if __name__ == "__main__":
    main()
