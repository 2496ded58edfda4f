"""Settings shared by the services, and how they are read: options, environment, TOML file.

An option beats the environment variable of the same name (`--kafka-bootstrap-servers`,
`VOTING_KAFKA_BOOTSTRAP_SERVERS`), which beats the TOML file that `VOTING_CONFIG` names. There a
section called like the command (`[voting-consumer]`) beats `[voting]`, which all of them share.
A variable holds several NAME=VALUE separated by spaces, quoted as in a shell. Settings are read
once, by the command line, and passed down.
"""

import functools
import os
import shlex
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, get_args, get_origin

import attrs
import typed_settings as ts
from typed_settings import SecretStr
from typed_settings.converters import get_default_cattrs_converter
from typed_settings.exceptions import TsError

from voting_core.exceptions import InputError
from voting_core.rules import PollingHours

__all__ = [
    "DatabaseSettings",
    "DrawSettings",
    "KafkaSettings",
    "LogSettings",
    "PollSettings",
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


def _one_of(*choices: str) -> Callable[[Any, Any, str], None]:
    # That of attrs repeats the whole definition of the field in its message.
    def check(_: Any, attribute: "attrs.Attribute[str]", value: str) -> None:
        if value not in choices:
            raise ValueError(f"{attribute.name}: {value!r} is none of {', '.join(choices)}")

    return check


@attrs.frozen
class LogSettings:
    """How the log is written, to standard error."""

    level: str = ts.option(
        default="info",
        validator=_one_of("debug", "info", "warning", "error"),
        help="Least severe level to log: debug, info, warning or error.",
    )
    format: str = ts.option(
        default="auto",
        validator=_one_of("auto", "console", "json"),
        help="console, json, or auto: console on a terminal, else json.",
    )


@attrs.frozen
class DrawSettings:
    """How a choice is drawn for a voter that brings none."""

    seed: str = ts.option(default="voting", help="Seed of the draw: any text.")
    weights: dict[str, float] = ts.option(
        factory=dict,
        help="Relative weight of a candidate, CANDIDATE_ID=NUMBER; may be repeated. "
        "Uniform by default.",
    )


def _has_offset(_: Any, attribute: "attrs.Attribute[Any]", moment: datetime | None) -> None:
    if moment is not None and moment.utcoffset() is None:
        raise ValueError(
            f"polls {attribute.name}: {moment.isoformat()} has no offset from UTC; "
            "write 2026-11-03T07:00:00-05:00, or Z for UTC"
        )


@attrs.frozen
class PollSettings:
    """When ballots may be cast; by default at any time.

    Attributes:
        open: The first moment that counts.
        close: The first moment that does not count any more.
    """

    open: datetime | None = ts.option(
        default=None,
        validator=_has_offset,
        help="When the polls open, as 2026-11-03T07:00:00-05:00: a ballot with an earlier "
        "timestamp does not count. By default there is no beginning.",
        # click's own type reads neither fractions of a second nor a Z.
        click={"type": str, "metavar": "TIME"},
    )
    close: datetime | None = ts.option(
        default=None,
        validator=_has_offset,
        help="When the polls close: a ballot with this timestamp or a later one does not count. "
        "By default there is no end.",
        click={"type": str, "metavar": "TIME"},
    )

    @close.validator
    def _ends_after_beginning(
        self, attribute: "attrs.Attribute[Any]", close: datetime | None
    ) -> None:
        if close is not None and self.open is not None and close <= self.open:
            raise ValueError(
                f"polls close: {close.isoformat()} is not after the opening, "
                f"{self.open.isoformat()}"
            )

    @property
    def hours(self) -> PollingHours:
        """The rule that these settings make."""
        return PollingHours(self.open, self.close)


CONFIG = "VOTING_CONFIG"
SHARED_SECTION = "voting"
SHARED = ("kafka", "database", "draw", "polls", "log")


class _SharedFormat(ts.TomlFormat):
    """The section for all services, of which each takes what it has a setting for."""

    def __call__(
        self, path: Path, settings_cls: type[Any], options: ts.types.OptionList
    ) -> ts.types.SettingsDict:
        found = super().__call__(path, settings_cls, options)
        own = {field.name for field in attrs.fields(settings_cls)}
        return {name: value for name, value in found.items() if name in own or name not in SHARED}


def settings_options(settings: type[Any], command: str) -> Callable[[Any], Any]:
    """Return the decorator that turns a settings class into a click command's options.

    Args:
        settings: An attrs class.
        command: The console script, whose section of the TOML file is read after `[voting]`.
    """
    formats: list[ts.TomlFormat] = [_SharedFormat(SHARED_SECTION)]
    if command != SHARED_SECTION:
        formats.append(ts.TomlFormat(command))
    loaders: list[ts.loaders.Loader] = [
        *(ts.FileLoader({"*": each}, [], CONFIG) for each in formats),
        ts.EnvLoader("VOTING_"),
    ]

    def decorate(function: Any) -> Any:
        try:
            _see_config(os.environ)
            return ts.click_options(
                settings, loaders, converter=_converter(), show_envvars_in_help=True
            )(function)
        except (TsError, ValueError, InputError) as error:
            # Files and variables are read while commands are defined, which is too early to end
            # the process.
            message = str(error)
            if isinstance(error, ValueError):
                message += f"; it comes from a VOTING_* variable, or from the file of {CONFIG}"

            @functools.wraps(function)
            def refuse(*args: Any, **kwargs: Any) -> None:
                raise InputError(message)

            return ts.click_options(settings, [])(refuse)

    return decorate


def _see_config(environ: Mapping[str, str]) -> None:
    # To go on with the defaults would be to count by other rules than those that were written.
    path = environ.get(CONFIG)
    if path and not Path(path).is_file():
        raise InputError(f"{CONFIG} names {path}, which is no file")


def _converter() -> Any:
    converter = get_default_cattrs_converter()
    # With detailed validation the message of a validator in a nested class would be lost.
    converter.detailed_validation = False

    def pairs(value: Any, kind: Any) -> dict[Any, Any]:
        key, of = get_args(kind)
        if isinstance(value, str):
            value = dict(map(_pair, shlex.split(value)))
        return {converter.structure(k, key): converter.structure(v, of) for k, v in value.items()}

    converter.register_structure_hook_func(_is_dict, pairs)
    return converter


def _is_dict(kind: Any) -> bool:
    return get_origin(kind) is dict


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(f"{text!r} is not NAME=VALUE")
    return name, value
