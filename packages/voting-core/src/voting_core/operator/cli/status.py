"""`voting status`."""

import json

import click
from rich.console import Console
from rich.table import Table

from voting_core.database import check_schema
from voting_core.operator.cli.base import COMMAND, OperatorSettings, connected
from voting_core.operator.status import pipeline_status
from voting_core.service.settings import settings_options


@click.command()
@settings_options(OperatorSettings, COMMAND)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(settings: OperatorSettings, as_json: bool) -> None:
    """Show the state of each stage of the pipeline."""
    with connected(settings) as (admin, conn):
        check_schema(conn)
        found = pipeline_status(settings.kafka, admin, conn)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
        return
    table = Table("Stage", "Count", title="Pipeline")
    table.columns[1].justify = "right"
    table.add_row("registered voters", f"{found.registered:,}")
    table.add_row("records waiting for a decision", f"{found.kafka.waiting:,}")
    table.add_row("votes accepted", f"{found.votes:,}")
    for reason, count in found.rejected.items():
        table.add_row(f"rejected: {reason}", f"{count:,}")
    table.add_row("votes tallied", f"{found.kafka.tallied:,}")
    Console().print(table)
