"""`voting incidents`."""

from datetime import UTC

import click
from rich.table import Table
from rich.text import Text

from voting_core.database import check_schema, connect
from voting_core.database.incidents import resolve_incident, unresolved_incidents
from voting_core.operator.cli.base import COMMAND, OperatorSettings, output_console
from voting_core.service.logging import configure_logging
from voting_core.service.settings import settings_options


@click.group(invoke_without_command=True)
@settings_options(OperatorSettings, COMMAND)
@click.pass_context
def incidents(context: click.Context, settings: OperatorSettings) -> None:
    """List the unresolved incidents; `voting certify` refuses while there is one."""
    configure_logging(settings.log, COMMAND)
    context.obj = settings
    if context.invoked_subcommand is not None:
        return
    with connect(settings.database) as conn:
        check_schema(conn)
        found = unresolved_incidents(conn)
    if not found:
        click.echo("no unresolved incident")
        return
    table = Table("Id", "Detected (UTC)", "Kind", "Subject", "Detail")
    for each in found:
        detected = f"{each.detected_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        texts = (each.kind, each.subject, each.detail)
        table.add_row(str(each.incident_id), detected, *map(Text, texts))
    output_console().print(table)


@incidents.command()
@click.argument("incident_id", type=click.IntRange(min=1), metavar="ID")
@click.option("--note", required=True, help="How it was resolved, for the record.")
@click.pass_obj
def resolve(settings: OperatorSettings, incident_id: int, note: str) -> None:
    """Record how an incident was resolved."""
    if not note.strip():
        raise click.BadParameter("must not be empty", param_hint="--note")
    with connect(settings.database) as conn:
        check_schema(conn)
        resolve_incident(conn, incident_id, note.strip())
    click.echo(f"incident {incident_id} is resolved")
