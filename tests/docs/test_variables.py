"""The variables that core knows are those of all commands."""

import importlib.util

from page_session import ROOT

from voting_core.service import variables

_SPEC = importlib.util.spec_from_file_location("commands", ROOT / "docs" / "_hooks" / "commands.py")
assert _SPEC is not None
assert _SPEC.loader is not None
_COMMANDS = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_COMMANDS)


def test_every_setting_of_every_command_is_known() -> None:
    """And no other: a variable that is known but read by no command would be ignored."""
    settings = {
        option.path.replace(".", "_")
        for command in _COMMANDS.commands()
        for option in command.options
        if option.path
    }
    assert settings == variables.SETTINGS


def test_every_secret_can_be_read_from_a_file() -> None:
    """The settings whose values are never shown."""
    text = (ROOT / "packages/voting-core/src/voting_core/service/settings.py").read_text("utf-8")
    assert text.count(": SecretStr = ts.option(") == len(variables.SECRETS)
