"""The service: one reader for the whole process, and the Streamlit server that shows its results.

Streamlit runs the page as a separate script for each visitor and passes no arguments to it: the
script finds the settings and the reader here.
"""

import asyncio
import contextlib
import socket
from functools import partial
from pathlib import Path

import click
import streamlit as st
from streamlit.web import bootstrap
from streamlit.web.server import Server

from voting_core.exceptions import InputError
from voting_core.service.signals import StopSignal
from voting_dashboard.reader import Reader
from voting_dashboard.settings import DashboardSettings, PageSettings
from voting_dashboard.sources import StoresRegisterSource, StoresTotalsSource, open_stores

SHUTDOWN_TIMEOUT = 3.0
"""Maximum wait for open connections to close, in seconds."""

_THEME = {
    "theme_base": "light",
    "theme_primaryColor": "#1a1a1a",
    "theme_textColor": "#1a1a1a",
    "theme_backgroundColor": "#ffffff",
    "theme_secondaryBackgroundColor": "#f5f4f1",
    "theme_borderColor": "#dcdad5",
    "theme_headingFont": "Georgia, 'Times New Roman', 'DejaVu Serif', serif",
    "theme_baseRadius": "4px",
}

_settings = DashboardSettings()


def configure(settings: DashboardSettings) -> None:
    """Set the settings of this process; call it before the page is served."""
    global _settings
    _settings = settings


def current_settings() -> DashboardSettings:
    """Return the settings of this process."""
    return _settings


@st.cache_resource(show_spinner=False, on_release=Reader.stop)
def shared_reader() -> Reader:
    """Return the reader that all visitors share; the first call starts it."""
    stores = partial(open_stores, _settings.kafka, _settings.database)
    reader = Reader(
        lambda: StoresTotalsSource(stores()),
        lambda: StoresRegisterSource(stores()),
    )
    reader.start()
    return reader


def page_url(settings: PageSettings) -> str:
    """Return the URL at which a browser on this machine opens the page."""
    host = {"0.0.0.0": "localhost", "::": "localhost"}.get(settings.host, settings.host)
    address = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    return "/".join(filter(None, (address, settings.base_path)))


def check_environment(settings: DashboardSettings) -> None:
    """Check that the port is free and that Kafka and PostgreSQL hold one election.

    Raises:
        InputError: The page cannot be served at this address.
        SetupError: Kafka or PostgreSQL is unreachable, or they do not hold one election.
    """
    check_port(settings.dashboard)
    open_stores(settings.kafka, settings.database).close()


def check_port(settings: PageSettings) -> None:
    """Check that the page can be served at its address.

    Raises:
        InputError: The port is in use, or the address does not belong to this machine.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        # The server sets it too: a port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(
                f"cannot listen on {settings.host}:{settings.port}: {reason}"
            ) from error


def serve(page: Path, settings: DashboardSettings, stop: StopSignal) -> None:
    """Serve the page, a Streamlit script, until the process is asked to stop.

    The signal handlers of `stop` must be installed.
    """
    configure(settings)
    bootstrap.load_config_options(
        {
            "server_address": settings.dashboard.host,
            "server_port": settings.dashboard.port,
            "server_baseUrlPath": settings.dashboard.base_path,
            "server_corsAllowedOrigins": list(filter(None, [settings.dashboard.origin])),
            # Otherwise Streamlit opens a browser and asks for the user's e-mail address.
            "server_headless": True,
            "server_fileWatcherType": "none",
            "browser_gatherUsageStats": False,
            "client_toolbarMode": "minimal",
            "client_showErrorDetails": "none",
            "logger_level": "warning",
            **_THEME,
        }
    )
    asyncio.run(_serve(page, settings.dashboard, stop))


async def _serve(page: Path, settings: PageSettings, stop: StopSignal) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    stop.on_request(lambda: loop.call_soon_threadsafe(stopping.set))
    # A signal may have arrived before the callback was registered.
    if stop.requested:
        return
    server = Server(str(page), is_hello=False)
    await server.start()
    bootstrap.prepare_streamlit_environment(str(page))
    shared_reader()
    url = page_url(settings)
    click.echo(f"The dashboard is at {url}")
    if settings.open_browser:
        click.launch(url)
    await stopping.wait()
    server.stop()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.ensure_future(server.stopped), SHUTDOWN_TIMEOUT)
    # Stops the reader.
    shared_reader.clear()
