"""`voting reconcile`."""

import json
import sys
import time

import attrs
import click
import psycopg
import typed_settings as ts
from confluent_kafka.admin import AdminClient
from rich.console import Console

from voting_core.database.migrations import check_schema
from voting_core.operator.cli.base import COMMAND, OperatorSettings, connected
from voting_core.operator.reconcile import Reconciliation, Recount
from voting_core.operator.reconcile import reconcile as reconcile_once
from voting_core.service.settings import DrawSettings, PollSettings, settings_options

__all__ = ["reconcile"]

WATCH_SECONDS = 10.0
PIPE_WIDTH = 160


@attrs.frozen
class ReconcileSettings(OperatorSettings):
    """Where the places are, and the rules of a recount."""

    draw: DrawSettings = ts.option(factory=DrawSettings)
    polls: PollSettings = ts.option(factory=PollSettings)


@click.command()
@settings_options(ReconcileSettings, COMMAND)
@click.option(
    "--deep",
    is_flag=True,
    help="Recount the ballots of voters_topic, too, by the register, the candidates, --draw-… and "
    "--polls-…, which must be those of the count.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with --watch a line each time.")
@click.option(
    "--watch",
    is_flag=False,
    flag_value=WATCH_SECONDS,
    type=click.FloatRange(min=0, min_open=True),
    metavar="[SECONDS]",
    help=f"Repeat it until interrupted, with a pause between; {WATCH_SECONDS:.0f} s by default.",
)
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long aggregates that do not fit have to stand still before they are taken as wrong "
    "instead of as being written.",
)
def reconcile(
    settings: ReconcileSettings, deep: bool, as_json: bool, watch: float | None, patience: float
) -> int:
    """Compare every place that holds votes; exit code 1 when they disagree.

    Records read, PostgreSQL, votes_topic, rejected_votes_topic and the aggregates are compared,
    figure by figure and record by record. What is merely in flight while the count runs is said,
    and is no disagreement.
    """
    recount = Recount(settings.draw, settings.polls.hours) if deep else None
    with connected(settings) as (admin, conn):
        check_schema(conn)
        agreed = True
        try:
            while True:
                found = _once(settings, admin, conn, recount, patience)
                agreed = found.agrees
                _tell(found, as_json=as_json, watch=watch is not None)
                if watch is None:
                    return 0 if agreed else 1
                time.sleep(watch)
        except KeyboardInterrupt:
            if watch is None:
                raise
    return 0 if agreed else 1


def _once(
    settings: ReconcileSettings,
    admin: AdminClient,
    conn: psycopg.Connection,
    recount: Recount | None,
    patience: float,
) -> Reconciliation:
    return reconcile_once(settings.kafka, admin, conn, recount=recount, patience=patience)


def _tell(found: Reconciliation, *, as_json: bool, watch: bool) -> None:
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=None if watch else 2, ensure_ascii=False))
    else:
        if not found.agrees:
            console = Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)
            console.print(found.tables())
        time_of_day = f"{time.strftime('%H:%M:%S')} " if watch else ""
        click.echo(time_of_day + found.line())
    sys.stdout.flush()
