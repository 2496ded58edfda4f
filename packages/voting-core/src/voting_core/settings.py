"""Settings shared by the services, and how they are read: options, environment, TOML file.

An option beats the environment variable of the same name (`--kafka-bootstrap-servers`,
`VOTING_KAFKA_BOOTSTRAP_SERVERS`), which beats the section `[voting]` of the TOML file that
`VOTING_CONFIG` names. Settings are read once, by the command line, and passed down.
"""

from collections.abc import Callable
from typing import Any

import attrs
import typed_settings as ts
from typed_settings import SecretStr

__all__ = [
    "DatabaseSettings",
    "DrawSettings",
    "KafkaSettings",
    "LogSettings",
    "settings_options",
]


@attrs.frozen
class KafkaSettings:
    """Where Kafka is."""

    bootstrap_servers: str = ts.option(
        default="localhost:9092", help="Kafka brokers to begin with, host:port[,host:port…]."
    )


@attrs.frozen
class DatabaseSettings:
    """Where PostgreSQL is."""

    url: SecretStr = ts.option(
        default=SecretStr("postgresql://postgres@localhost:5432/voting"),
        help="PostgreSQL as postgresql://user:password@host:port/database.",
    )


@attrs.frozen
class LogSettings:
    """How the log is written, to standard error."""

    level: str = ts.option(
        default="info",
        validator=attrs.validators.in_(("debug", "info", "warning", "error")),
        help="Least severe level to log: debug, info, warning or error.",
    )
    format: str = ts.option(
        default="auto",
        validator=attrs.validators.in_(("auto", "console", "json")),
        help="console, json, or auto: console on a terminal, else json.",
    )


def settings_options(settings: type[Any]) -> Callable[[Any], Any]:
    """Return the decorator that turns a settings class into a click command's options."""
    loaders = ts.default_loaders(
        "voting",
        env_prefix="VOTING_",
        config_file_section="voting",
        config_files_var="VOTING_CONFIG",
    )
    return ts.click_options(settings, loaders, show_envvars_in_help=True)


@attrs.frozen
class DrawSettings:
    """How a choice is drawn for a voter that brings none."""

    seed: str = ts.option(default="voting", help="Seed of the draw: any text.")
    weights: dict[str, float] = ts.option(
        factory=dict,
        help="Relative weight of a candidate, CANDIDATE_ID=NUMBER; may be repeated. "
        "Uniform by default.",
    )
