"""The commands and their settings as Markdown, read from click and from the settings classes."""

import inspect
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

import attrs
import click
from typed_settings.cls_utils import deep_options
from typed_settings.types import OptionInfo

SCRIPTS = (
    "voting",
    "voting-producer",
    "voting-consumer",
    "voting-stream",
    "voting-dashboard",
)


def _variable(path: str) -> str:
    return f"VOTING_{path.replace('.', '_').upper()}"


@attrs.frozen
class Option:
    """An option of a command.

    Attributes:
        flags: As typed: `--rate FLOAT`.
        path: Of the setting behind it, such as `kafka.bootstrap_servers`; empty without one.
        default: Empty where the help text describes it.
    """

    flags: str
    help: str
    path: str
    default: str

    @property
    def variable(self) -> str:
        """The environment variable; empty without a setting."""
        return _variable(self.path) if self.path else ""


@attrs.frozen
class Command:
    """A command that can be run, with its arguments and options.

    Attributes:
        script: The console script.
        name: All words: `voting import`.
        usage: The arguments as the usage line shows them.
    """

    script: str
    name: str
    usage: str
    help: str
    options: list[Option]


def commands() -> list[Command]:
    """Return every command of every console script, in the order of `--help`."""
    return [command for script in SCRIPTS for command in _commands(script)]


def _commands(script: str) -> Iterator[Command]:
    (entry,) = entry_points(group="console_scripts", name=script)
    found = vars(import_module(entry.module)).values()
    root = next(each for each in found if isinstance(each, click.Command) and each.name == script)
    if not isinstance(root, click.Group):
        yield _command(script, script, root)
        return
    for name in sorted(root.commands):
        yield _command(script, f"{script} {name}", root.commands[name])


def _command(script: str, name: str, command: click.Command) -> Command:
    callback = inspect.unwrap(command.callback or (lambda: None))
    settings = inspect.get_annotations(callback).get("settings")
    by_variable = {
        _variable(option.path): option for option in (deep_options(settings) if settings else ())
    }
    usage = [f"{name} [OPTIONS]"]
    options = []
    with click.Context(command, info_name=name) as context:
        for parameter in command.params:
            if isinstance(parameter, click.Argument):
                usage.append(parameter.make_metavar(context))
            elif isinstance(parameter, click.Option) and parameter.name != "version":
                options.append(_option(parameter, by_variable.get(str(parameter.envvar)), context))
    return Command(script, name, " ".join(usage), inspect.cleandoc(command.help or ""), options)


def _option(parameter: click.Option, setting: OptionInfo | None, context: click.Context) -> Option:
    flags = " / ".join((*parameter.opts, *parameter.secondary_opts))
    if not parameter.is_flag:
        flags += f" {parameter.make_metavar(context)}"
    if setting is None:
        default = parameter.default if parameter.show_default else None
    else:
        # The default that click knows is what the environment of this build contains.
        default = None if setting.default_is_factory else setting.default
    return Option(
        flags=flags,
        help=parameter.help or "",
        path=setting.path if setting else "",
        default="required" if parameter.required else _default(default),
    )


def _default(value: Any) -> str:
    if value is None or value == "" or value is False:
        return ""
    return code(f"{value:g}" if isinstance(value, float) else str(value))


def shared_paths(found: list[Command]) -> set[str]:
    """Return the grouped settings that several scripts read; these may stand in `[voting]`."""
    readers: dict[str, set[str]] = {}
    for command in found:
        for option in command.options:
            if "." in option.path:
                readers.setdefault(option.path, set()).add(command.script)
    return {path for path, scripts in readers.items() if len(scripts) > 1}


def row(*cells: str) -> str:
    """Return a row of a table."""
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |\n"


def code(text: str) -> str:
    """Return text as code; empty text stays empty."""
    return f"`{text}`" if text else ""


def lines(*texts: str) -> str:
    """Return texts as code, one below the other, without the empty ones."""
    return "<br>".join(code(text) for text in texts if text)


def commands_section() -> str:
    """Return a section for each command: usage, description and options."""
    found = commands()
    shared = shared_paths(found)
    text = ""
    script = ""
    for command in found:
        if command.script != script:
            script = command.script
            text += f"## {script}\n\n"
        if command.name != script:
            text += f"### {command.name}\n\n"
        text += f"```text\n{command.usage}\n```\n\n{command.help}\n\n"
        text += _options_table([each for each in command.options if each.path not in shared])
        common = [each for each in command.options if each.path in shared]
        if common:
            flags = ", ".join(code(option.flags.split()[0]) for option in common)
            text += f"[Shared settings](settings.md#shared-settings): {flags}.\n\n"
    return text


def _options_table(options: list[Option]) -> str:
    if not options:
        return ""
    text = "| option, variable | default | meaning |\n|---|---|---|\n"
    for option in options:
        text += row(lines(option.flags, option.variable), option.default, option.help)
    return f"{text}\n"


def settings_section() -> str:
    """Return the table of the shared settings, then one for each script's own."""
    found = commands()
    paths = shared_paths(found)
    readers: dict[Option, list[str]] = {}
    own: dict[str, dict[Option, None]] = {}
    for command in found:
        for option in command.options:
            if option.path in paths:
                readers.setdefault(option, []).append(command.script)
            elif option.path:
                own.setdefault(command.script, {})[option] = None
    text = "## Shared settings\n\n"
    text += "| TOML, variable | default | meaning | read by |\n|---|---|---|---|\n"
    for option in sorted(readers, key=lambda each: each.path):
        names = lines(_toml("voting", option), option.variable)
        text += row(names, option.default, option.help, lines(*dict.fromkeys(readers[option])))
    for script, options in own.items():
        text += f"\n## Settings of {script}\n\n"
        text += "| TOML, variable | default | meaning |\n|---|---|---|\n"
        for option in options:
            text += row(lines(_toml(script, option), option.variable), option.default, option.help)
    return text


def _toml(section: str, option: Option) -> str:
    group, _, key = option.path.rpartition(".")
    return f"[{section}{'.' if group else ''}{group}] {key}"
