"""Serving the page from this process."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from streamlit.web import bootstrap
from streamlit.web.server import Server

from voting_core.exceptions import InputError
from voting_dashboard.settings import PageSettings

__all__ = ["address", "require_free_port", "serve"]

STOP_SECONDS = 3.0

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


def address(settings: PageSettings) -> str:
    """Return where a browser on this machine finds the page."""
    host = {"0.0.0.0": "localhost", "::": "localhost"}.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def require_free_port(settings: PageSettings) -> None:
    """See that the page can be served there.

    Raises:
        InputError: The port is in use, or the address is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        # As the server does: a port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(
                f"cannot listen on {settings.host}:{settings.port}: {reason}"
            ) from error


def serve(page: Path, settings: PageSettings, on_ready: Callable[[], None]) -> signal.Signals:
    """Serve a Streamlit script until SIGTERM or SIGINT, and return which it was.

    Args:
        page: The script.
        settings: Where to serve it.
        on_ready: Called once browsers can connect.
    """
    bootstrap.load_config_options(
        {
            "server_address": settings.host,
            "server_port": settings.port,
            # Not headless would mean a browser, and a question about the visitor's e-mail.
            "server_headless": True,
            "server_fileWatcherType": "none",
            "browser_gatherUsageStats": False,
            "client_toolbarMode": "minimal",
            "client_showErrorDetails": "none",
            "logger_level": "warning",
            **_THEME,
        }
    )
    return asyncio.run(_serve(page, on_ready))


async def _serve(page: Path, on_ready: Callable[[], None]) -> signal.Signals:
    loop = asyncio.get_running_loop()
    asked: asyncio.Future[signal.Signals] = loop.create_future()

    def stop(number: signal.Signals) -> None:
        if not asked.done():
            asked.set_result(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    server = Server(str(page), is_hello=False)
    await server.start()
    bootstrap.prepare_streamlit_environment(str(page))
    on_ready()
    number = await asked
    server.stop()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.ensure_future(server.stopped), STOP_SECONDS)
    return number
