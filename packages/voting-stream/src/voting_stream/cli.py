"""The command `voting-stream`."""

from typing import NoReturn

import click

from voting_core.service.cli import run_command
from voting_core.service.settings import settings_options
from voting_stream.settings import StreamSettings


@click.group(name="voting-stream")
@click.version_option(package_name="voting-stream")
def cli() -> None:
    """Count the votes on votes_topic with Spark Structured Streaming."""


@cli.command()
@settings_options(StreamSettings, "voting-stream")
def run(settings: StreamSettings) -> None:
    """Keep the aggregate topics up to date until stopped."""
    # Imported here to keep `--help` fast.
    from voting_stream import service

    service.run(settings)


def main() -> NoReturn:
    """Run the command and exit."""
    run_command(cli)
