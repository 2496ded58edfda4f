"""`voting certify` and `voting export`."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import attrs
import click
import psycopg
import typed_settings as ts
from confluent_kafka.admin import AdminClient

from voting_core.election import Election
from voting_core.operator.cli.base import COMMAND, OperatorSettings, connected_election
from voting_core.operator.results import publish
from voting_core.operator.results.bundle import Bundle
from voting_core.operator.results.exceptions import RefusedError
from voting_core.operator.results.nist import ELECTION_TYPES, REPORTING_UNIT_TYPES
from voting_core.operator.results.publish import ElectionOptions
from voting_core.service.settings import KafkaSettings, settings_options


def _check_day(_: Any, attribute: "attrs.Attribute[str]", value: str) -> None:
    try:
        found = date.fromisoformat(value) if value else None
    except ValueError:
        found = None
    if value and (found is None or found.isoformat() != value):
        raise ValueError(f"{attribute.name} must be a date as YYYY-MM-DD, not {value!r}")


def _check_text(_: Any, attribute: "attrs.Attribute[str]", value: str) -> None:
    if not value.strip() or "\0" in value:
        raise ValueError(f"{attribute.name} must not be empty")


_check_unit_type = attrs.validators.in_(REPORTING_UNIT_TYPES)


@attrs.frozen
class ResultsSettings(OperatorSettings):
    """The description of the election in the results."""

    election_name: str | None = ts.option(
        default=None,
        validator=attrs.validators.optional(_check_text),
        help="Name of the election. Default: the one given to `voting init`.",
    )
    contest_name: str = ts.option(
        default="Contest", validator=_check_text, help="Name of the contest: the office."
    )
    election_type: str = ts.option(
        default="general",
        validator=attrs.validators.in_(ELECTION_TYPES),
        help=f"One of {', '.join(ELECTION_TYPES)}.",
    )
    election_date: str = ts.option(
        default="",
        validator=_check_day,
        help="Day of the election, YYYY-MM-DD. Default: the days on which votes were cast (UTC).",
    )
    issuer: str = ts.option(
        default="Election office", validator=_check_text, help="Publisher of the results."
    )
    issuer_abbreviation: str = ts.option(
        default="", help="Abbreviation of the issuer. Default: its initials."
    )
    jurisdiction: str = ts.option(
        default="All locations", validator=_check_text, help="Name of the election's whole area."
    )
    jurisdiction_type: str = ts.option(
        default="country",
        validator=_check_unit_type,
        help="Type of the jurisdiction in NIST SP 1500-100, such as country, state or county.",
    )
    location_type: str = ts.option(
        default="state", validator=_check_unit_type, help="Type of each location within it."
    )
    test: bool = ts.option(
        default=False, help="Mark the results as a rehearsal's; those of a rehearsal always are."
    )


Publish = Callable[[KafkaSettings, AdminClient, psycopg.Connection, ElectionOptions, Path], Bundle]

_out = click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Directory for the bundle; must be empty or not exist.",
)


@click.command()
@settings_options(ResultsSettings, COMMAND)
@_out
def certify(settings: ResultsSettings, out: Path) -> int:
    """Write certified results, if nothing is in flight and everything reconciles.

    Otherwise prints the reasons and exits with code 1.
    """
    try:
        bundle = _publish(publish.certify, settings, out)
    except RefusedError as error:
        click.echo("Not certified:", err=True)
        for reason in error.reasons:
            click.echo(f"  {reason}", err=True)
        return 1
    _print_summary(bundle, out)
    click.echo("Publish this digest elsewhere; `voting verify --manifest-sha256` checks it.")
    return 0


@click.command()
@settings_options(ResultsSettings, COMMAND)
@_out
def export(settings: ResultsSettings, out: Path) -> None:
    """Write the current results, unofficial, in the same files as certify."""
    _print_summary(_publish(publish.export, settings, out), out)


def _publish(write: Publish, settings: ResultsSettings, out: Path) -> Bundle:
    with connected_election(settings) as (admin, conn, election):
        return write(settings.kafka, admin, conn, _election_options(settings, election), out)


def _election_options(settings: ResultsSettings, election: Election) -> ElectionOptions:
    return ElectionOptions(
        name=(settings.election_name or election.name).strip(),
        contest=settings.contest_name.strip(),
        type=settings.election_type,
        day=date.fromisoformat(settings.election_date) if settings.election_date else None,
        issuer=settings.issuer.strip(),
        issuer_abbreviation=settings.issuer_abbreviation.strip() or None,
        jurisdiction=settings.jurisdiction.strip(),
        jurisdiction_type=settings.jurisdiction_type,
        location_type=settings.location_type,
        is_test=settings.test or not election.is_live,
    )


def _print_summary(bundle: Bundle, out: Path) -> None:
    manifest, counts = bundle.manifest, bundle.manifest.counts
    click.echo(
        f"{out}: {manifest.status}, {counts.votes:,} votes for {counts.candidates:,} candidates in "
        f"{counts.locations:,} locations, {counts.rejections:,} rejections"
    )
    click.echo(f"SHA-256 of manifest.json: {bundle.manifest_sha256}")
