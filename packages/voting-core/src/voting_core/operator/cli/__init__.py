"""The operator's command `voting`: one module per command, or per pair of similar commands."""

import click

from voting_core.operator.cli import (
    certify_export,
    import_register,
    incidents,
    init_reset,
    reconcile,
    status,
    verify,
)
from voting_core.operator.cli.base import COMMAND
from voting_core.service.cli import run_command

__all__ = ["cli", "main"]


@click.group(name=COMMAND)
@click.version_option(package_name="voting-core")
def cli() -> None:
    """Set up, watch and check an election."""


for command in (
    init_reset.init,
    import_register.import_,
    init_reset.reset,
    status.status,
    incidents.incidents,
    reconcile.reconcile,
    certify_export.certify,
    certify_export.export,
    verify.verify,
):
    cli.add_command(command)


def main() -> None:
    """Run the command."""
    run_command(cli)
