"""Settings shared by the services, read from options, environment variables and a TOML file.

In order of precedence: the option (`--kafka-bootstrap-servers`), the environment variable of the
same name (`VOTING_KAFKA_BOOTSTRAP_SERVERS`), and the TOML file that `VOTING_CONFIG` names, where
the command's own section (`[voting-consumer]`) precedes the shared one (`[voting]`). A variable
holds several NAME=VALUE pairs separated by spaces and quoted as in a shell. A secret can also be in
the file that its variable with the suffix `_FILE` names. Settings are read once, by the command
line, and passed down.
"""

import functools
import os
import shlex
import tomllib
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, get_args, get_origin

import attrs
import click
import typed_settings as ts
from click.core import ParameterSource
from typed_settings import SecretStr
from typed_settings.converters import get_default_cattrs_converter
from typed_settings.exceptions import TsError

from voting_core.exceptions import InputError, one_line
from voting_core.rules import PollingHours
from voting_core.service.variables import (
    CONFIG,
    FILE_SUFFIX,
    PREFIX,
    SECRETS,
    SETTINGS,
    SHARED_SECTION,
    check_sections,
    check_variables,
)


@attrs.frozen
class KafkaSettings:
    """How to connect to Kafka."""

    bootstrap_servers: str = ts.option(
        default="localhost:9092", help="Kafka bootstrap servers, host:port[,host:port…]."
    )


@attrs.frozen
class DatabaseSettings:
    """How to connect to PostgreSQL."""

    url: SecretStr = ts.option(
        default=SecretStr("postgresql://postgres@localhost:5432/voting"),
        help="PostgreSQL as postgresql://user:password@host:port/database.",
    )


def _one_of(*choices: str) -> Callable[[Any, Any, str], None]:
    # The validator of attrs repeats the field's whole definition in its message.
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
    """How the choice is drawn for a ballot without one; by default as the election says."""

    seed: str | None = ts.option(
        default=None, help="Seed of the draw: any text; fixed by `voting init`."
    )
    weights: dict[str, float] = ts.option(
        factory=dict,
        help="Relative weight of a candidate, CANDIDATE_ID=NUMBER; may be repeated; fixed by "
        "`voting init`, uniform by default.",
    )


_TIMES = {"open": "polls open", "close": "polls close"}


def check_offset(_: Any, attribute: "attrs.Attribute[Any]", time: datetime | None) -> None:
    """Check, as a validator, that a time has an offset from UTC."""
    if time is not None and time.utcoffset() is None:
        name = _TIMES.get(attribute.name, attribute.name)
        raise ValueError(
            f"{name}: {time.isoformat()} has no offset from UTC; "
            "write 2026-11-03T07:00:00-05:00, or Z for UTC"
        )


@attrs.frozen
class PollSettings:
    """When ballots may be cast; by default as the election says."""

    open: datetime | None = ts.option(
        default=None,
        validator=check_offset,
        help="When the polls open, as 2026-11-03T07:00:00-05:00: a ballot with an earlier "
        "timestamp does not count. Set by `voting init`; no limit by default.",
        # click's own type supports neither fractions of a second nor Z.
        click={"type": str, "metavar": "TIME"},
    )
    close: datetime | None = ts.option(
        default=None,
        validator=check_offset,
        help="When the polls close: a ballot with this timestamp or a later one does not count. "
        "Set by `voting init`; no limit by default.",
        click={"type": str, "metavar": "TIME"},
    )

    @close.validator
    def _check_order(self, attribute: "attrs.Attribute[Any]", close: datetime | None) -> None:
        if close is not None and self.open is not None and close <= self.open:
            raise ValueError(
                f"polls close: {close.isoformat()} is not after the opening, "
                f"{self.open.isoformat()}"
            )

    @property
    def hours(self) -> PollingHours:
        """The settings as a rule."""
        return PollingHours(self.open, self.close)


SHARED = ("kafka", "database", "draw", "polls", "log")


class _SharedFormat(ts.TomlFormat):
    """The section that all commands share; each ignores the settings of the others."""

    def __call__(
        self, path: Path, settings_cls: type[Any], options: ts.types.OptionList
    ) -> ts.types.SettingsDict:
        found = super().__call__(path, settings_cls, options)
        own = {field.name for field in attrs.fields(settings_cls)}
        others = {*SHARED, *SETTINGS} - own
        return {name: value for name, value in found.items() if name not in others}


class _SecretFileLoader:
    """Reads a secret from the file that the variable with the suffix `_FILE` names."""

    def __call__(
        self, settings_cls: type[Any], options: ts.types.OptionList
    ) -> ts.types.LoadedSettings:
        values: ts.types.SettingsDict = {}
        for option in options:
            name = option.path.replace(".", "_")
            variable = f"{PREFIX}{name.upper()}"
            path = os.environ.get(variable + FILE_SUFFIX) if name in SECRETS else None
            if path is None:
                continue
            if variable in os.environ:
                raise InputError(f"{variable} and {variable}{FILE_SUFFIX} are both set")
            try:
                secret = Path(path).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "not UTF-8"
                raise InputError(f"{variable}{FILE_SUFFIX} names {path}: {reason}") from error
            secret = secret.rstrip("\r\n")
            if not secret:
                raise InputError(f"{variable}{FILE_SUFFIX} names {path}: the file is empty")
            ts.dict_utils.set_path(values, option.path, secret)
        return ts.types.LoadedSettings(values, ts.types.LoaderMeta(self))


def settings_options(settings: type[Any], command: str) -> Callable[[Any], Any]:
    """Return a decorator that adds the fields of a settings class to a click command as options.

    `command` is the name of the console script and of its section in the TOML file.
    """
    formats: list[ts.TomlFormat] = [_SharedFormat(SHARED_SECTION)]
    if command != SHARED_SECTION:
        formats.append(ts.TomlFormat(command))
    loaders: list[ts.loaders.Loader] = [
        *(ts.FileLoader({"*": each}, [], CONFIG) for each in formats),
        _SecretFileLoader(),
        ts.EnvLoader(PREFIX),
    ]

    def decorate(function: Any) -> Any:
        try:
            check_variables(os.environ)
            _check_config(os.environ)
            return ts.click_options(
                settings, loaders, converter=_converter(), show_envvars_in_help=True
            )(_warning_of_visible_passwords(function))
        except (TsError, ValueError, InputError) as error:
            # Files and variables are read while commands are defined, which is too early to exit.
            message = str(error)
            if isinstance(error, ValueError):
                message += f"; set by a VOTING_* variable or in the file of {CONFIG}"

            @functools.wraps(function)
            def refuse(*args: Any, **kwargs: Any) -> None:
                raise InputError(message)

            return ts.click_options(settings, [])(refuse)

    return decorate


def _warning_of_visible_passwords(function: Any) -> Any:
    """Return a command that warns if a password is on its command line."""

    @functools.wraps(function)
    def command(*args: Any, **kwargs: Any) -> Any:
        context = click.get_current_context()
        for name in SECRETS:
            source = context.get_parameter_source(name)
            if source is ParameterSource.COMMANDLINE:
                option = name.replace("_", "-")
                variable = f"{PREFIX}{name.upper()}"
                click.echo(
                    f"warning: what --{option} contains is visible in the list of processes; use "
                    f"{variable} or {variable}{FILE_SUFFIX} if it has a password",
                    err=True,
                )
        return function(*args, **kwargs)

    return command


def _check_config(environ: Mapping[str, str]) -> None:
    # typed-settings ignores a missing file and would count by the default rules.
    path = environ.get(CONFIG)
    if not path:
        return
    if not Path(path).is_file():
        raise InputError(f"{CONFIG} names {path}, which is not a file")
    try:
        check_sections(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, InputError) as error:
        raise InputError(f"{path}: {one_line(error)}") from error


def _converter() -> Any:
    converter = get_default_cattrs_converter()
    # Detailed validation loses the message of a validator in a nested class.
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
