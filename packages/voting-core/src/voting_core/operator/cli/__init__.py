"""The operator's command `voting`: one module for each kind of command."""

import click

from voting_core.operator.cli.base import COMMAND
from voting_core.operator.cli.check import status
from voting_core.operator.cli.reconciliation import reconcile
from voting_core.operator.cli.register import import_
from voting_core.operator.cli.results import certify, export, verify
from voting_core.operator.cli.setup import init, reset
from voting_core.service.cli import run_command

__all__ = ["cli", "main"]


@click.group(name=COMMAND)
@click.version_option(package_name="voting-core")
def cli() -> None:
    """Set up, watch and check an election."""


for command in (init, import_, reset, status, reconcile, certify, export, verify):
    cli.add_command(command)


def main() -> None:
    """Run the command."""
    run_command(cli)
