"""`voting init` and `voting reset`."""

import sys
from datetime import datetime
from typing import Any

import attrs
import click
import psycopg
import typed_settings as ts
from confluent_kafka.admin import AdminClient

from voting_core.database import applied_version
from voting_core.database.election import read_election
from voting_core.election import Election, ElectionChanges, ElectionMode
from voting_core.exceptions import InputError
from voting_core.operator.cli.base import COMMAND, OperatorSettings, connected
from voting_core.operator.running_services import check_stopped
from voting_core.operator.setup import (
    TopicLayout,
    assign_consumer_group,
    forget_election,
    set_up_election,
)
from voting_core.service.settings import DrawSettings, PollSettings, check_offset, settings_options


def _check_mode(_: Any, __: "attrs.Attribute[str | None]", value: str | None) -> None:
    if value is not None and value not in tuple(ElectionMode):
        raise ValueError(f"mode: {value!r} is none of {', '.join(ElectionMode)}")


def _check_name(_: Any, attribute: "attrs.Attribute[str | None]", value: str | None) -> None:
    if value is not None and (not value.strip() or not value.isprintable()):
        raise ValueError(f"{attribute.name}: must not be empty, and must be printable")


@attrs.frozen
class InitSettings(OperatorSettings):
    """The election, and how its topics are created."""

    mode: str | None = ts.option(
        default=None,
        validator=_check_mode,
        help="live: real ballots, each with a choice; rehearsal (default): choices may be drawn "
        "and voters invented. Fixed once the election exists.",
    )
    name: str | None = ts.option(
        default=None, validator=_check_name, help="Name of the election, for people."
    )
    begins: datetime | None = ts.option(
        default=None,
        validator=check_offset,
        help="When the election begins, as 2026-11-03T00:00:00-05:00: a ballot with an earlier "
        "timestamp is malformed. Default: the time of the first init.",
        click={"type": str, "metavar": "TIME"},
    )
    draw: DrawSettings = ts.option(factory=DrawSettings)
    polls: PollSettings = ts.option(factory=PollSettings)
    consumer_group: str | None = ts.option(
        default=None,
        validator=_check_name,
        help="Kafka consumer group of all consumers. By default that of the first one; a change "
        "needs the services stopped.",
    )
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

    @property
    def changes(self) -> ElectionChanges:
        """What the options ask for."""
        return ElectionChanges(
            mode=ElectionMode(self.mode) if self.mode else None,
            name=self.name.strip() if self.name else None,
            began_at=self.begins,
            polls_open=self.polls.open,
            polls_close=self.polls.close,
            draw_seed=self.draw.seed,
            draw_weights=self.draw.weights or None,
        )

    @property
    def layout(self) -> TopicLayout:
        """How missing topics are created."""
        return TopicLayout(
            partitions=self.partitions,
            replication=self.replication,
            min_insync_replicas=self.min_insync_replicas,
        )


@click.command()
@settings_options(InitSettings, COMMAND)
def init(settings: InitSettings) -> None:
    """Create the election: its identity, rules, tables and topics; may be repeated.

    Repeated, it creates what is missing, changes the polling hours, and registers topics that were
    recreated on purpose, for which the services must be stopped.
    """
    with connected(settings) as (admin, conn):
        _set_up(settings, admin, conn)


@click.command()
@settings_options(InitSettings, COMMAND)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation; not for a live election.")
@click.option("--confirm", metavar="NAME", help="The name of the election to delete.")
def reset(settings: InitSettings, yes: bool, confirm: str | None) -> None:
    """Delete the election, then create another one, as init does.

    Empties the tables, and deletes and recreates the topics. Refused while consumers or producers
    run. A live election is deleted only if its name is typed.
    """
    with connected(settings) as (admin, conn):
        check_stopped(admin, conn, "the election cannot be deleted")
        _confirm(_stored_election(conn), yes=yes, name=confirm)
        forget_election(admin, conn)
        _set_up(settings, admin, conn)


def _set_up(settings: InitSettings, admin: AdminClient, conn: psycopg.Connection) -> None:
    election = set_up_election(settings.kafka, admin, conn, settings.changes, settings.layout)
    if settings.consumer_group:
        assign_consumer_group(admin, conn, settings.consumer_group)
    click.echo(f"Election {election.election_id}: {election.name}, {election.mode}")


def _stored_election(conn: psycopg.Connection) -> Election | None:
    # Without the second migration there is no table of the election.
    return read_election(conn) if applied_version(conn) > 1 else None


def _confirm(election: Election | None, *, yes: bool, name: str | None) -> None:
    if election is not None and name is not None and name != election.name:
        raise InputError(f"the election's name is not {name!r}; nothing was deleted")
    if name is not None:
        return
    is_live = election is not None and election.is_live
    if yes and not is_live:
        return
    if not sys.stdin.isatty():
        needed = "its name as --confirm NAME: the election is live" if is_live else "--yes"
        raise InputError(f"reset deletes every vote: confirm with {needed}")
    if election is not None and is_live:
        typed = click.prompt(f"Type the name of the live election, {election.name!r}, to delete it")
        if typed != election.name:
            raise click.Abort
        return
    click.confirm("Delete every candidate, voter, vote and topic?", abort=True)
