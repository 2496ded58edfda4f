"""The operator's command `voting`."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import click
import psycopg
import structlog
import typed_settings as ts
from confluent_kafka.admin import AdminClient
from rich.console import Console
from rich.table import Table

from voting_core.command import run_command
from voting_core.database import connect
from voting_core.exceptions import InputError
from voting_core.kafka import check_topics, connect_admin, create_topics, delete_topics
from voting_core.logs import configure_logging
from voting_core.migrations import check_schema, migrate
from voting_core.reconcile import differences, take_census
from voting_core.settings import DatabaseSettings, KafkaSettings, LogSettings, settings_options
from voting_core.status import pipeline_status
from voting_core.topics import ALL_TOPICS

__all__ = ["main"]

log = structlog.get_logger()


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
@settings_options(TopicSettings)
def init(settings: TopicSettings) -> None:
    """Create the tables and topics that do not exist yet; may be repeated."""
    with _connected(settings) as (admin, conn):
        _create(settings, admin, conn)


def _create(settings: TopicSettings, admin: AdminClient, conn: psycopg.Connection) -> None:
    applied = migrate(conn)
    created = create_topics(
        admin, ALL_TOPICS, partitions=settings.partitions, replication=settings.replication
    )
    check_topics(admin, ALL_TOPICS)
    log.info("ready", migrations=[m.name for m in applied], topics=created)


@cli.command()
@settings_options(OperatorSettings)
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
    table.add_row("records waiting for a decision", f"{found.waiting:,}")
    table.add_row("votes accepted", f"{found.votes:,}")
    for reason, count in found.rejected.items():
        table.add_row(f"rejected: {reason}", f"{count:,}")
    table.add_row("votes tallied", f"{found.tallied:,}")
    Console().print(table)


@cli.command()
@settings_options(TopicSettings)
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
        deleted = delete_topics(admin, ALL_TOPICS)
        migrate(conn)
        conn.execute("TRUNCATE candidates, voters, votes, rejections")
        log.info("deleted", topics=deleted)
        _create(settings, admin, conn)


@cli.command()
@settings_options(OperatorSettings)
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
