"""`voting init` and `voting reset`."""

import sys

import click
import psycopg
from confluent_kafka.admin import AdminClient

from voting_core.exceptions import InputError
from voting_core.operator.cli.base import COMMAND, TopicSettings, connected
from voting_core.operator.setup import forget_election, set_up_election
from voting_core.service.settings import settings_options

__all__ = ["init", "reset"]


@click.command()
@settings_options(TopicSettings, COMMAND)
def init(settings: TopicSettings) -> None:
    """Create the tables and topics that do not exist yet; may be repeated."""
    with connected(settings) as (admin, conn):
        _set_up(settings, admin, conn)


@click.command()
@settings_options(TopicSettings, COMMAND)
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(settings: TopicSettings, yes: bool) -> None:
    """Forget the election: empty the tables, delete and recreate the topics.

    Stop the services first.
    """
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("reset deletes every vote: confirm with --yes")
        click.confirm("Delete every candidate, voter, vote and topic?", abort=True)
    with connected(settings) as (admin, conn):
        forget_election(admin, conn)
        _set_up(settings, admin, conn)


def _set_up(settings: TopicSettings, admin: AdminClient, conn: psycopg.Connection) -> None:
    set_up_election(
        admin,
        conn,
        partitions=settings.partitions,
        replication=settings.replication,
        min_insync_replicas=settings.min_insync_replicas,
    )
