"""The command `voting-consumer`."""

import click

from voting_consumer.settings import ConsumerSettings
from voting_core.service.cli import run_command
from voting_core.service.settings import settings_options

__all__ = ["main"]


@click.group(name="voting-consumer")
@click.version_option(package_name="voting-consumer")
def cli() -> None:
    """Validate ballots, store each decision and publish it exactly once."""


@cli.command()
@settings_options(ConsumerSettings, "voting-consumer")
def run(settings: ConsumerSettings) -> None:
    """Decide on the ballots of voters_topic until stopped, or idle for --until-idle seconds."""
    # Imported only now, so that `--help` answers at once.
    from voting_consumer.service import serve

    serve(settings)


def main() -> None:
    """Run the command."""
    run_command(cli)
