"""The command `voting-dashboard`."""

import signal
import sys
from pathlib import Path
from typing import NoReturn

import click

from voting_core.database import connect
from voting_core.kafka import connect_admin
from voting_core.service.cli import run_command
from voting_core.service.logging import configure_logging
from voting_core.service.settings import settings_options
from voting_dashboard.settings import DashboardSettings

__all__ = ["command", "main"]

INTERRUPTED = 130


@click.command("voting-dashboard")
@click.version_option(package_name="voting-dashboard")
@settings_options(DashboardSettings, "voting-dashboard")
def command(settings: DashboardSettings) -> int:
    """Show the count while it happens, in the browser, until stopped."""
    # Until the server takes over there is nothing to finish.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    configure_logging(settings.log, "voting-dashboard")
    # Streamlit takes a second to import: a wrong call should not wait for it.
    from voting_dashboard import live, page, server

    server.require_free_port(settings.dashboard)
    connect_admin(settings.kafka)
    connect(settings.database, application="voting-dashboard").close()
    live.configure(settings)

    def ready() -> None:
        live.shared_reader()
        url = server.address(settings.dashboard)
        click.echo(f"The dashboard is at {url}")
        if settings.dashboard.open_browser:
            click.launch(url)

    ended_by = server.serve(Path(page.__file__), settings.dashboard, ready)
    live.shared_reader.clear()
    return INTERRUPTED if ended_by is signal.SIGINT else 0


def main() -> NoReturn:
    """Run the command and exit."""
    run_command(command)
