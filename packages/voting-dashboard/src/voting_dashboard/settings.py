"""Settings of the dashboard."""

import re
from typing import Any
from urllib.parse import urlsplit

import attrs
import typed_settings as ts
from attrs.validators import ge, le

from voting_core.service.settings import DatabaseSettings, KafkaSettings, LogSettings


def _check_path(_: Any, attribute: "attrs.Attribute[str]", path: str) -> None:
    if path and not re.fullmatch(r"[\w.~-]+(/[\w.~-]+)*", path, re.ASCII):
        raise ValueError(f"{attribute.name}: {path!r} is not a path such as /count")


def _check_origin(_: Any, attribute: "attrs.Attribute[str]", origin: str) -> None:
    parts = urlsplit(origin)
    if origin and (
        parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}"
    ):
        raise ValueError(
            f"{attribute.name}: {origin!r} is not an origin such as https://results.example.org"
        )


@attrs.frozen
class PageSettings:
    """The address of the page, and its initial refresh interval.

    Attributes:
        base_path: Without slashes at its ends.
    """

    host: str = ts.option(
        default="127.0.0.1",
        help="Address to listen on.",
        click={"param_decls": "--host"},
    )
    port: int = ts.option(
        default=8501,
        validator=[ge(1), le(65535)],
        help="Port to listen on.",
        click={"param_decls": "--port"},
    )
    base_path: str = ts.option(
        default="",
        converter=lambda path: path.strip("/"),
        validator=_check_path,
        help="Path below which a reverse proxy serves the page, such as /count. The proxy must "
        "keep the path and pass WebSocket upgrades; X-Forwarded headers are not needed.",
        click={"param_decls": "--base-path", "metavar": "PATH"},
    )
    origin: str = ts.option(
        default="",
        validator=_check_origin,
        help="Origin of the page in browsers, such as https://results.example.org. Needed behind "
        "a proxy that does not keep the Host header: WebSockets of other origins are refused.",
        click={"param_decls": "--origin", "metavar": "URL"},
    )
    open_browser: bool = ts.option(
        default=False,
        help="Open the page in a browser.",
        click={"param_decls": "--open-browser/--no-open-browser"},
    )
    refresh: int = ts.option(
        default=2,
        validator=[ge(1), le(60)],
        help="Seconds between updates of the page, 1 to 60; each visitor can change it.",
        click={"param_decls": "--refresh"},
    )


@attrs.frozen
class DashboardSettings:
    """All settings of the dashboard, read once by the command line."""

    dashboard: PageSettings = attrs.field(factory=PageSettings)
    kafka: KafkaSettings = attrs.field(factory=KafkaSettings)
    database: DatabaseSettings = attrs.field(factory=DatabaseSettings)
    log: LogSettings = attrs.field(factory=LogSettings)
