"""The command `voting-consumer`."""

from typing import NoReturn

import click

from voting_consumer.settings import ConsumerSettings
from voting_core.service.cli import run_command
from voting_core.service.settings import settings_options


@click.group(name="voting-consumer")
@click.version_option(package_name="voting-consumer")
def cli() -> None:
    """Validate ballots, store each decision and publish it exactly once."""


@cli.command()
@settings_options(ConsumerSettings, "voting-consumer")
def run(settings: ConsumerSettings) -> None:
    """Decide on the ballots of voters_topic until stopped, or idle for --until-idle seconds."""
    # Imported here to keep `--help` fast.
    from voting_consumer import service

    service.run(settings)


def main() -> NoReturn:
    """Run the command and exit."""
    run_command(cli)
