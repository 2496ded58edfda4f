"""`voting init` and `voting reset`."""

import sys

import attrs
import click
import psycopg
import typed_settings as ts
from confluent_kafka.admin import AdminClient

from voting_core.exceptions import InputError
from voting_core.operator.cli.base import COMMAND, OperatorSettings, connected
from voting_core.operator.setup import forget_election, set_up_election
from voting_core.service.settings import settings_options


@attrs.frozen
class TopicSettings(OperatorSettings):
    """How topics are created."""

    partitions: int = ts.option(
        default=4,
        validator=attrs.validators.ge(1),
        help="Partitions of the log topics, the maximum number of consumers that share the work.",
    )
    replication: int = ts.option(
        default=-1, help="Replication factor of each topic; -1 for the broker's default."
    )
    min_insync_replicas: int = ts.option(
        default=-1,
        help="Replicas that must have a record, such as 2 of 3; -1 for the broker's default.",
    )

    @min_insync_replicas.validator
    def _check_replicas(self, _: "attrs.Attribute[int]", value: int) -> None:
        if 0 < self.replication < value:
            raise ValueError(
                f"'min_insync_replicas' is {value}, of {self.replication} copies ('replication')"
            )


@click.command()
@settings_options(TopicSettings, COMMAND)
def init(settings: TopicSettings) -> None:
    """Create the missing tables and topics; may be repeated."""
    with connected(settings) as (admin, conn):
        _set_up(settings, admin, conn)


@click.command()
@settings_options(TopicSettings, COMMAND)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def reset(settings: TopicSettings, yes: bool) -> None:
    """Delete the election: empty the tables, delete and recreate the topics.

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
