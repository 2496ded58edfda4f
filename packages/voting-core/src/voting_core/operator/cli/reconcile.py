"""`voting reconcile`."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import click
import psycopg
import typed_settings as ts
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from voting_core.database.election import read_election
from voting_core.exceptions import (
    BlockedError,
    ExitCode,
    UndecidedError,
    UnreachableError,
    one_line,
)
from voting_core.kafka import is_unavailable
from voting_core.operator.cli.base import (
    COMMAND,
    OperatorSettings,
    connected_election,
    json_option,
    output_console,
    watch_option,
)
from voting_core.operator.evidence import find_unproven_totals, record_evidence
from voting_core.operator.reconcile import Reconciliation
from voting_core.operator.reconcile import reconcile as reconcile_once
from voting_core.operator.transactions import describe_open_transactions
from voting_core.service.identity import check_rule_options
from voting_core.service.settings import DrawSettings, PollSettings, settings_options

WATCH_SECONDS = 10.0


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
    help="Also recount the ballots of voters_topic by the register, the candidates and the rules "
    "of the election.",
)
@json_option
@watch_option(WATCH_SECONDS)
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
    """Compare all data stores with votes.

    Compares the records read, PostgreSQL, votes_topic, rejected_votes_topic and the aggregates,
    figure by figure and record by record. Records in flight are reported, and are not a
    disagreement. Exit code 1 when the data stores disagree, 3 when they cannot be compared.
    """
    agreed = True
    with _comparable(settings) as (admin, conn):
        try:
            while True:
                found = _reconcile(settings, admin, conn, deep=deep, timeout=timeout)
                agreed = found.agrees
                _print(found, as_json=as_json, watch=watch is not None)
                if watch is None:
                    break
                time.sleep(watch)
        except KeyboardInterrupt:
            if watch is None:
                raise
    return ExitCode.OK if agreed else ExitCode.FAILURE


@contextmanager
def _comparable(
    settings: ReconcileSettings,
) -> Iterator[tuple[AdminClient, psycopg.Connection]]:
    """Connect to the data stores.

    Raises:
        UndecidedError: They are unreachable, or were lost midway.
        ElectionError: They do not form one election.
        InputError: A rule was given that is not the election's.
    """
    try:
        with connected_election(settings) as (admin, conn, election):
            check_rule_options(election, settings.draw, settings.polls)
            yield admin, conn
    except UnreachableError as error:
        raise UndecidedError(f"cannot compare: {error}") from error
    except KafkaException as error:
        if not is_unavailable(error):
            raise
        raise UndecidedError(f"cannot compare: lost Kafka: {error.args[0].str()}") from error
    except psycopg.OperationalError as error:
        raise UndecidedError(f"cannot compare: lost PostgreSQL: {one_line(error)}") from error


def _reconcile(
    settings: ReconcileSettings,
    admin: AdminClient,
    conn: psycopg.Connection,
    *,
    deep: bool,
    timeout: float,
) -> Reconciliation:
    """Compare once, and record what only another client can have written.

    Raises:
        UndecidedError: An open transaction holds back a topic.
    """
    election = read_election(conn)
    try:
        found = reconcile_once(
            settings.kafka, admin, conn, recount=election if deep else None, timeout=timeout
        )
    except BlockedError as error:
        blocking = describe_open_transactions(settings.kafka, admin)
        named = "; ".join(f"open transaction on {each}" for each in blocking)
        raise UndecidedError(f"cannot compare: {named or error}") from error
    unproven = find_unproven_totals(conn, found.sums)
    if problem := record_evidence(conn, unproven, found.foreign):
        click.echo(f"{COMMAND}: {problem}", err=True)
    return found


def _print(found: Reconciliation, *, as_json: bool, watch: bool) -> None:
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=None if watch else 2, ensure_ascii=False))
    else:
        if not found.agrees:
            console = output_console()
            console.print(found.tables())
        time_of_day = f"{time.strftime('%H:%M:%S')} " if watch else ""
        click.echo(time_of_day + found.line())
    sys.stdout.flush()
