"""The command line: `python -m bench`, which `nox -s bench` runs."""

import logging
import os
import signal
import time
from pathlib import Path

import click
import structlog
from rich.console import Console

from bench.context import Context
from bench.machine import OtherLoad, describe_machine
from bench.picture import save_picture
from bench.report import machine_lines, result_table
from bench.results import CountsDiffer, Row
from bench.rows import DESCRIPTIONS, ROWS
from bench.sizes import FULL, QUICK
from bench.workload import Workload
from harness.election import open_bench
from voting_core.exceptions import FatalError, InputError, SetupError
from voting_core.service.cli import run_command
from voting_core.service.files import check_writable, write_json
from voting_core.service.java import find_java
from voting_infra import StackError, Supervisor, open_stack
from voting_infra.logs import new_log_directory

PEERS_PYTHON = "BENCH_PEERS"
"""The environment variable that names the Python of the stream processors' environment."""

PATHWAY_PYTHON = "BENCH_PATHWAY"
"""The environment variable that names the Python of Pathway's environment, which is optional."""

_FILE = click.Path(dir_okay=False, path_type=Path)


_ROW_LINES = "\n".join(f"{name:<9} {text}" for name, text in DESCRIPTIONS.items())
_HELP = f"""Measure each stage beside other ways to do the same, and beside its limit.

Everything runs on a real Kafka and PostgreSQL of this machine: with fsync, acknowledgements of all
replicas, transactions and checkpoints. Variants take turns; a figure is the median of the
rounds, with the least and the greatest value. A row fails if its variants did not count the same
votes. Nothing else should run on the machine meanwhile; the result says what did.

\b
{_ROW_LINES}
"""


def _chosen_rows(_: click.Context, __: click.Parameter, text: str | None) -> list[str] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in ROWS]:
        raise click.BadParameter(f"no row {', '.join(unknown)}; there is {', '.join(ROWS)}")
    return names


@click.command(name="bench", help=_HELP, context_settings={"max_content_width": 100})
@click.option("--quick", is_flag=True, help="Fewer votes and rounds: under 6 minutes on 2 cores.")
@click.option(
    "--rows",
    metavar="NAME,…",
    callback=_chosen_rows,
    help="What to measure; by default everything, but with --quick no growth.",
)
@click.option("--json", "json_file", type=_FILE, help="Write every figure as JSON.")
@click.option("--picture", type=_FILE, help="Draw the figures: .png, .svg or .pdf.")
def bench(
    quick: bool, rows: list[str] | None, json_file: Path | None, picture: Path | None
) -> None:
    """Measure the chosen rows and show them."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("librdkafka").setLevel(logging.ERROR)
    # Each new election would log that it is ready.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    find_java(os.environ)
    peers_python = os.environ.get(PEERS_PYTHON)
    if not peers_python:
        raise InputError(
            f"{PEERS_PYTHON} does not name the Python of the stream processors' environment, which "
            "`nox -s bench` makes of benchmarks/peers/requirements.txt"
        )
    pathway = os.environ.get(PATHWAY_PYTHON)
    for path, what in ((json_file, "JSON file"), (picture, "picture")):
        if path is not None:
            check_writable(path, what)
    console = Console()
    load = OtherLoad()
    sizes = QUICK if quick else FULL
    if rows is None:
        rows = [name for name in ROWS if not (quick and name == "growth")]
    logs = new_log_directory()

    def print_line(line: str) -> None:
        console.print(line, highlight=False, soft_wrap=True, markup=False)

    print_line(f"Logs are in {logs}")
    results: list[Row] = []
    try:
        with (
            open_stack(log_dir=logs) as stack,
            Supervisor(logs) as services,
            open_bench(services, stack) as election,
        ):
            context = Context(
                election,
                sizes,
                Path(peers_python),
                print_line,
                Workload(election),
                Path(pathway) if pathway else None,
            )
            for name in rows:
                print_line(f"{name}: {DESCRIPTIONS[name]}")
                started = time.monotonic()
                results.append(ROWS[name](context))
                print_line(f"  {time.monotonic() - started:.0f} s")
    except StackError as error:
        raise SetupError(str(error)) from error
    except CountsDiffer as error:
        raise FatalError(str(error)) from error
    finally:
        # What was measured before a row fails is reported as well.
        if results:
            measured = {
                "sizes": sizes.name,
                "machine": describe_machine(),
                "load": load.as_json(),
                "rows": [row.as_json() for row in results],
                "not_measured": rows[len(results) :],
            }
            console.print(result_table(results))
            for line in machine_lines(measured):
                print_line(line)
            if json_file is not None:
                write_json(json_file, measured)
            if picture is not None:
                save_picture(results, picture)


def main() -> None:
    """Run the command."""
    run_command(bench)


if __name__ == "__main__":
    main()
