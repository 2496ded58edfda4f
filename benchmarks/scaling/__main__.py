"""The command line: `python -m scaling`, which `nox -s scaling` runs."""

import logging
import os
import signal
from pathlib import Path

import attrs
import click

from scaling.measure import measure
from scaling.report import measured_table, needs_table
from scaling.sizing import needs
from voting_core.exceptions import SetupError
from voting_core.service.cli import run_command
from voting_core.service.files import check_writable, write_json
from voting_core.service.java import find_java
from voting_infra import StackError, Supervisor, open_stack
from voting_infra.logs import new_log_directory


@click.command(name="scaling", context_settings={"show_default": True})
@click.option(
    "--voters", type=click.IntRange(min=10_000), default=200_000, help="Ballots in each election."
)
@click.option(
    "--count",
    "counts",
    type=click.IntRange(min=1),
    multiple=True,
    default=(1, 2, 4),
    help="Partitions, and services of each kind; the first is the basis of the requirements.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the measured rates (JSON).",
)
def scaling(voters: int, counts: tuple[int, ...], report: Path | None) -> None:
    """Measure the votes per second of producers, consumers and the stream.

    Prints the rates with increasing numbers of each, and the numbers that an election requires.
    Nothing else should run on the machine meanwhile.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    find_java(os.environ)
    if report is not None:
        check_writable(report, "report")
    logs = new_log_directory()
    click.echo(f"Logs are in {logs}")
    try:
        with open_stack(log_dir=logs) as stack, Supervisor(logs) as services:
            steps = measure(services, stack, voters=voters, counts=counts, print_line=click.echo)
    except StackError as error:
        raise SetupError(str(error)) from error
    cores = f"{os.cpu_count()} cores"
    click.echo(f"\nMeasured with {voters:,} ballots on {cores}:\n\n{measured_table(steps)}")
    click.echo(f"\nWhat elections require at these rates:\n\n{needs_table(needs(steps[0]))}")
    if report is not None:
        rates = [attrs.asdict(step) for step in steps]
        write_json(report, {"voters": voters, "cores": os.cpu_count(), "rates": rates})


def main() -> None:
    """Run the command."""
    run_command(scaling)


if __name__ == "__main__":
    main()
