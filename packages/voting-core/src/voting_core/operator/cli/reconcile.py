"""`voting reconcile`."""

import json
import sys
import time

import attrs
import click
import typed_settings as ts
from rich.console import Console

from voting_core.database import check_schema
from voting_core.operator.cli.base import COMMAND, OperatorSettings, connected
from voting_core.operator.reconcile import Reconciliation, RecountRules
from voting_core.operator.reconcile import reconcile as reconcile_once
from voting_core.service.settings import DrawSettings, PollSettings, settings_options

WATCH_SECONDS = 10.0
PIPE_WIDTH = 160


@attrs.frozen
class ReconcileSettings(OperatorSettings):
    """How to connect to the data stores, and the rules of a recount."""

    draw: DrawSettings = ts.option(factory=DrawSettings)
    polls: PollSettings = ts.option(factory=PollSettings)


@click.command()
@settings_options(ReconcileSettings, COMMAND)
@click.option(
    "--deep",
    is_flag=True,
    help="Also recount the ballots of voters_topic by the register, the candidates, --draw-… and "
    "--polls-…, which must be those of the count.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with --watch a line each time.")
@click.option(
    "--watch",
    is_flag=False,
    flag_value=WATCH_SECONDS,
    type=click.FloatRange(min=0, min_open=True),
    metavar="[SECONDS]",
    help=f"Repeat until interrupted, at an interval; {WATCH_SECONDS:.0f} s by default.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds without change after which incomplete aggregates are a disagreement, instead "
    "of being treated as in flight.",
)
def reconcile(
    settings: ReconcileSettings, deep: bool, as_json: bool, watch: float | None, timeout: float
) -> int:
    """Compare all data stores with votes; exit code 1 when they disagree.

    Compares the records read, PostgreSQL, votes_topic, rejected_votes_topic and the aggregates,
    figure by figure and record by record. Records in flight are reported, and are not a
    disagreement.
    """
    rules = RecountRules(settings.draw, settings.polls.hours) if deep else None
    with connected(settings) as (admin, conn):
        check_schema(conn)
        agreed = True
        try:
            while True:
                found = reconcile_once(settings.kafka, admin, conn, recount=rules, timeout=timeout)
                agreed = found.agrees
                _print(found, as_json=as_json, watch=watch is not None)
                if watch is None:
                    return 0 if agreed else 1
                time.sleep(watch)
        except KeyboardInterrupt:
            if watch is None:
                raise
    return 0 if agreed else 1


def _print(found: Reconciliation, *, as_json: bool, watch: bool) -> None:
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=None if watch else 2, ensure_ascii=False))
    else:
        if not found.agrees:
            console = Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)
            console.print(found.tables())
        time_of_day = f"{time.strftime('%H:%M:%S')} " if watch else ""
        click.echo(time_of_day + found.line())
    sys.stdout.flush()
