"""The settings, options, output and connections of the operator's commands."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import attrs
import click
import psycopg
import typed_settings as ts
from confluent_kafka.admin import AdminClient
from rich.console import Console

from voting_core.database import connect
from voting_core.election import Election
from voting_core.kafka import connect_admin
from voting_core.service.identity import check_election
from voting_core.service.logging import configure_logging
from voting_core.service.settings import DatabaseSettings, KafkaSettings, LogSettings

F = TypeVar("F", bound=Callable[..., Any])

COMMAND = "voting"
PIPE_WIDTH = 160
"""Width of tables that are not printed on a terminal, in characters."""

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON; with --watch a line each time."
)


def watch_option(seconds: float) -> Callable[[F], F]:
    """Return the option `--watch`, with a default interval in seconds."""
    return click.option(
        "--watch",
        is_flag=False,
        flag_value=seconds,
        type=click.FloatRange(min=0, min_open=True),
        metavar="[SECONDS]",
        help=f"Repeat until interrupted, at an interval; {seconds:.0f} s by default.",
    )


def output_console() -> Console:
    """Return a console on standard output; lines for a pipe are not cut at 80 characters."""
    return Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)


@attrs.frozen
class OperatorSettings:
    """How to connect to Kafka and PostgreSQL."""

    kafka: KafkaSettings = ts.option(factory=KafkaSettings)
    database: DatabaseSettings = ts.option(factory=DatabaseSettings)
    log: LogSettings = ts.option(factory=LogSettings)


@contextmanager
def connected(settings: OperatorSettings) -> Iterator[tuple[AdminClient, psycopg.Connection]]:
    """Configure logging and connect to Kafka and PostgreSQL.

    Raises:
        UnreachableError: Kafka or PostgreSQL is unreachable.
    """
    configure_logging(settings.log, COMMAND)
    admin = connect_admin(settings.kafka)
    with connect(settings.database) as conn:
        yield admin, conn


@contextmanager
def connected_election(
    settings: OperatorSettings,
) -> Iterator[tuple[AdminClient, psycopg.Connection, Election]]:
    """Connect, and check that Kafka and PostgreSQL belong to one election.

    Raises:
        UnreachableError: Kafka or PostgreSQL is unreachable.
        ElectionError: They belong to different elections, or a topic was recreated.
    """
    with connected(settings) as (admin, conn):
        yield admin, conn, check_election(settings.kafka, admin, conn)
