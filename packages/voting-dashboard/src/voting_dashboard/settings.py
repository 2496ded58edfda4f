"""Settings of the dashboard."""

import attrs
import typed_settings as ts
from attrs.validators import ge, le

from voting_core.service.settings import DatabaseSettings, KafkaSettings, LogSettings


@attrs.frozen
class PageSettings:
    """The address of the page, and its initial refresh interval."""

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
