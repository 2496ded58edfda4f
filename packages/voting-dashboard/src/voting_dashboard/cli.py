"""The command `voting-dashboard`."""

import signal
from pathlib import Path
from typing import NoReturn

import click

from voting_core.service.cli import run_command
from voting_core.service.logging import configure_logging
from voting_core.service.settings import settings_options
from voting_core.service.signals import StopRequested, StopSignal
from voting_dashboard.settings import DashboardSettings


@click.command("voting-dashboard")
@click.version_option(package_name="voting-dashboard")
@settings_options(DashboardSettings, "voting-dashboard")
def command(settings: DashboardSettings) -> int:
    """Serve the live results page until stopped."""
    stop = StopSignal()
    with stop.handle():
        try:
            with stop.interruptible():
                configure_logging(settings.log, "voting-dashboard")
                # Imported here to keep `--help` fast.
                from voting_dashboard import page, service

                service.check_environment(settings)
            service.serve(Path(page.__file__), settings, stop)
        except StopRequested:
            # Nothing has been started yet.
            pass
    # A service manager ends the service with SIGTERM, which is not a failure.
    return stop.exit_code if stop.signum == signal.SIGINT else 0


def main() -> NoReturn:
    """Run the command and exit."""
    run_command(command)
