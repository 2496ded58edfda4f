"""The operator's command `voting`."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import click
import psycopg
import typed_settings as ts
from confluent_kafka.admin import AdminClient
from rich.console import Console
from rich.table import Table

from voting_core.command import run_command
from voting_core.database import connect
from voting_core.election import forget_election, set_up_election
from voting_core.exceptions import InputError
from voting_core.kafka import connect_admin
from voting_core.logs import configure_logging
from voting_core.migrations import check_schema
from voting_core.reconcile import differences, take_census
from voting_core.settings import DatabaseSettings, KafkaSettings, LogSettings, settings_options
from voting_core.status import pipeline_status

__all__ = ["main"]


@attrs.frozen
class OperatorSettings:
    """Where Kafka and PostgreSQL are."""

    kafka: KafkaSettings = ts.option(factory=KafkaSettings)
    database: DatabaseSettings = ts.option(factory=DatabaseSettings)
    log: LogSettings = ts.option(factory=LogSettings)


@attrs.frozen
class TopicSettings(OperatorSettings):
    """How topics are created."""

    partitions: int = ts.option(
        default=4,
        validator=attrs.validators.ge(1),
        help="Partitions of the log topics: as many consumers can share the work.",
    )
    replication: int = ts.option(
        default=-1, help="Copies of each topic; -1 for the broker's default."
    )


@click.group(name="voting")
@click.version_option(package_name="voting-core")
def cli() -> None:
    """Set up, watch and check an election."""


@contextmanager
def _connected(
    settings: OperatorSettings,
) -> Iterator[tuple[AdminClient, psycopg.Connection]]:
    configure_logging(settings.log, "voting")
    admin = connect_admin(settings.kafka)
    with connect(settings.database) as conn:
        yield admin, conn


@cli.command()
@settings_options(TopicSettings, "voting")
def init(settings: TopicSettings) -> None:
    """Create the tables and topics that do not exist yet; may be repeated."""
    with _connected(settings) as (admin, conn):
        set_up_election(
            admin, conn, partitions=settings.partitions, replication=settings.replication
        )


@cli.command()
@settings_options(OperatorSettings, "voting")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(settings: OperatorSettings, as_json: bool) -> None:
    """Show how far each stage has come."""
    with _connected(settings) as (admin, conn):
        check_schema(conn)
        found = pipeline_status(settings.kafka, admin, conn)
    if as_json:
        click.echo(json.dumps({**attrs.asdict(found), "in_flight": found.in_flight}, indent=2))
        return
    table = Table("Stage", "Count", title="Pipeline")
    table.columns[1].justify = "right"
    table.add_row("registered voters", f"{found.registered:,}")
    table.add_row("records waiting for a decision", f"{found.flow.waiting:,}")
    table.add_row("votes accepted", f"{found.votes:,}")
    for reason, count in found.rejected.items():
        table.add_row(f"rejected: {reason}", f"{count:,}")
    table.add_row("votes tallied", f"{found.flow.tallied:,}")
    Console().print(table)


@cli.command()
@settings_options(TopicSettings, "voting")
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(settings: TopicSettings, yes: bool) -> None:
    """Forget the election: empty the tables, delete and recreate the topics.

    Stop the services first.
    """
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("reset deletes every vote: confirm with --yes")
        click.confirm("Delete every candidate, voter, vote and topic?", abort=True)
    with _connected(settings) as (admin, conn):
        forget_election(admin, conn)
        set_up_election(
            admin, conn, partitions=settings.partitions, replication=settings.replication
        )


@cli.command()
@settings_options(OperatorSettings, "voting")
def reconcile(settings: OperatorSettings) -> int:
    """Compare PostgreSQL, votes_topic and the aggregates; exit code 1 when they disagree."""
    with _connected(settings) as (admin, conn):
        check_schema(conn)
        counts = take_census(settings.kafka, admin, conn)
    found = differences(counts)
    if not found:
        votes = counts["postgres"].votes
        click.echo(f"{votes:,} votes: PostgreSQL, votes_topic and the aggregates agree")
        return 0
    table = Table("Figure", *counts, title="Disagreements")
    for difference in found:
        table.add_row(
            difference.figure,
            *[f"{difference.found[p]:,}" if p in difference.found else "" for p in counts],
        )
    Console().print(table)
    return 1


def main() -> None:
    """Run the command."""
    run_command(cli)
