"""What every service consists of: settings, command line, signals, heartbeat and files.

Import `logging`, `progress_bar` and `java` by their own names: structlog and rich, which the first
two load, would double the time of a service's `--help`.
"""

from voting_core.service.cli import run_command
from voting_core.service.files import check_writable, write_json
from voting_core.service.health import HEARTBEAT_HELP, Heartbeat
from voting_core.service.settings import (
    DatabaseSettings,
    DrawSettings,
    KafkaSettings,
    LogSettings,
    PollSettings,
    settings_options,
)
from voting_core.service.signals import StopRequested, StopSignal

__all__ = [
    "HEARTBEAT_HELP",
    "DatabaseSettings",
    "DrawSettings",
    "Heartbeat",
    "KafkaSettings",
    "LogSettings",
    "PollSettings",
    "StopRequested",
    "StopSignal",
    "check_writable",
    "run_command",
    "settings_options",
    "write_json",
]
