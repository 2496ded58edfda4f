"""The command `voting-producer`."""

from typing import NoReturn

import click

from voting_core.service.cli import run_command
from voting_core.service.settings import settings_options
from voting_producer.settings import ProducerSettings


@click.group(name="voting-producer")
@click.version_option(package_name="voting-producer")
def cli() -> None:
    """Register candidates and voters, and send their ballots to Kafka."""


@cli.command()
@settings_options(ProducerSettings, "voting-producer")
def run(settings: ProducerSettings) -> int:
    """Register the voters of a source, send their ballots, then exit."""
    # Imported here to keep `--help` fast.
    from voting_producer import service

    return service.run(settings)


def main() -> NoReturn:
    """Run the command and exit."""
    run_command(cli)
