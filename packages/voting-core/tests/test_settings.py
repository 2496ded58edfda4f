"""Reading settings from options, environment variables and a TOML file."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import attrs
import click
import pytest
import typed_settings as ts
from click.testing import CliRunner, Result

from voting_core.exceptions import InputError
from voting_core.rules import PollingHours
from voting_core.service.settings import (
    DatabaseSettings,
    DrawSettings,
    KafkaSettings,
    LogSettings,
    PollSettings,
    settings_options,
)


@attrs.frozen
class Settings:
    """Settings of a command under test."""

    kafka: KafkaSettings = ts.option(factory=KafkaSettings)
    database: DatabaseSettings = ts.option(factory=DatabaseSettings)


def kafka_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, toml: str, *args: str) -> Result:
    """Return the result of a command that prints its Kafka address, with a TOML file."""
    file = tmp_path / "voting.toml"
    file.write_text(toml)
    monkeypatch.setenv("VOTING_CONFIG", str(file))

    @click.command()
    @settings_options(Settings, "thing")
    def command(settings: Settings) -> None:
        click.echo(settings.kafka.bootstrap_servers)

    return CliRunner().invoke(command, args)


def test_an_option_precedes_a_variable_precedes_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Options take precedence over variables, and variables over the file."""
    monkeypatch.delenv("VOTING_KAFKA_BOOTSTRAP_SERVERS", raising=False)
    toml = '[voting.kafka]\nbootstrap_servers = "shared:1"\n'
    assert kafka_address(monkeypatch, tmp_path, toml).output == "shared:1\n"
    toml += '[thing.kafka]\nbootstrap_servers = "own:2"\n'
    assert kafka_address(monkeypatch, tmp_path, toml).output == "own:2\n"
    monkeypatch.setenv("VOTING_KAFKA_BOOTSTRAP_SERVERS", "variable:3")
    assert kafka_address(monkeypatch, tmp_path, toml).output == "variable:3\n"
    option = "--kafka-bootstrap-servers=option:4"
    assert kafka_address(monkeypatch, tmp_path, toml, option).output == "option:4\n"


def test_a_file_may_contain_other_services_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Shared settings that a service does not have, and other sections, are ignored."""
    toml = '[voting.draw]\nseed = "x"\n[other]\nsize = 3\n'
    assert kafka_address(monkeypatch, tmp_path, toml).exit_code == 0


@pytest.mark.parametrize("section", ["voting", "thing"])
def test_a_misspelt_setting_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, section: str
) -> None:
    """An unknown name is an error that contains the name and the file."""
    error = kafka_address(monkeypatch, tmp_path, f"[{section}]\nkafak = 1\n").exception
    assert isinstance(error, InputError)
    assert "kafak" in str(error)
    assert "voting.toml" in str(error)


def test_a_missing_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file that VOTING_CONFIG names but does not exist is an error, not the defaults."""
    missing = tmp_path / "missing.toml"
    message = polling_hours(monkeypatch, toml=missing)
    assert f"VOTING_CONFIG names {missing}, which is not a file" in str(message)


@attrs.frozen
class WeighedSettings:
    """Settings of a command that draws choices."""

    draw: DrawSettings = ts.option(factory=DrawSettings)


@pytest.mark.parametrize(
    ("args", "variable", "toml"),
    [
        (["--draw-weights=ann=2", "--draw-weights=bob b=0.5"], None, None),
        ([], "ann=2 'bob b'=0.5", None),
        ([], None, '[voting.draw.weights]\nann = 2\n"bob b" = 0.5\n'),
    ],
)
def test_several_values_of_one_setting(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    args: list[str],
    variable: str | None,
    toml: str | None,
) -> None:
    """An option is repeated, a variable is split like a shell command, a file has a table."""
    monkeypatch.delenv("VOTING_CONFIG", raising=False)
    if variable is not None:
        monkeypatch.setenv("VOTING_DRAW_WEIGHTS", variable)
    if toml is not None:
        (tmp_path / "voting.toml").write_text(toml)
        monkeypatch.setenv("VOTING_CONFIG", str(tmp_path / "voting.toml"))
    found = []

    @click.command()
    @settings_options(WeighedSettings, "thing")
    def command(settings: WeighedSettings) -> None:
        found.append(settings.draw.weights)

    result = CliRunner().invoke(command, args)
    assert found == [{"ann": 2.0, "bob b": 0.5}], result.output


@pytest.mark.parametrize("value", ["nora", "=1", "nora=much", "'nora=1"])
def test_an_invalid_variable_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """The error contains the setting's name and value."""
    monkeypatch.setenv("VOTING_DRAW_WEIGHTS", value)

    @click.command()
    @settings_options(WeighedSettings, "thing")
    def command(settings: WeighedSettings) -> None:
        pytest.fail(f"accepted {settings}")

    error = CliRunner().invoke(command, []).exception
    assert isinstance(error, InputError)
    assert "draw.weights" in str(error)
    assert value in str(error)


@attrs.frozen
class CountSettings:
    """Settings of a command that uses the polling hours."""

    polls: PollSettings = ts.option(factory=PollSettings)
    log: LogSettings = ts.option(factory=LogSettings)


def polling_hours(monkeypatch: pytest.MonkeyPatch, *args: str, toml: Path | None = None) -> object:
    """Return the hours that a command reads, or the message of its error."""
    if toml is None:
        monkeypatch.delenv("VOTING_CONFIG", raising=False)
    else:
        monkeypatch.setenv("VOTING_CONFIG", str(toml))
    found = []

    @click.command()
    @settings_options(CountSettings, "thing")
    def command(settings: CountSettings) -> None:
        found.append(settings.polls.hours)

    result = CliRunner().invoke(command, args)
    return found[0] if found else repr(result.exception) + result.output


OPEN = datetime(2026, 11, 3, 7, 0, 0, 1000, tzinfo=timezone(timedelta(hours=-5)))
CLOSE = datetime(2026, 11, 4, 1, 0, tzinfo=UTC)


def test_polling_hours_come_from_options_variables_and_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """ISO 8601 with fractions and Z is supported everywhere, and TOML times in a file."""
    opening, closing = "2026-11-03T07:00:00.001-05:00", "2026-11-04T01:00:00Z"
    both = PollingHours(OPEN, CLOSE)
    assert polling_hours(monkeypatch) == PollingHours()
    assert polling_hours(monkeypatch, f"--polls-open={opening}") == PollingHours(open=OPEN)
    options = [f"--polls-open={opening}", f"--polls-close={closing}"]
    assert polling_hours(monkeypatch, *options) == both
    toml = tmp_path / "voting.toml"
    toml.write_text(f'[voting.polls]\nopen = {opening}\nclose = "{closing}"\n')
    assert polling_hours(monkeypatch, toml=toml) == both
    monkeypatch.setenv("VOTING_POLLS_CLOSE", closing)
    assert polling_hours(monkeypatch) == PollingHours(close=CLOSE)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--polls-open=2026-11-03T07:00:00"], "polls open: 2026-11-03T07:00:00 has no offset"),
        (["--polls-close=2026-11-03"], "polls close: 2026-11-03T00:00:00 has no offset"),
        (["--polls-open=seven"], "polls.open"),
        (
            ["--polls-open=2026-11-03T07:00:00Z", "--polls-close=2026-11-03T02:00:00-05:00"],
            "is not after the opening",
        ),
        (
            ["--polls-open=2026-11-03T07:00:00Z", "--polls-close=2026-11-03T06:00:00Z"],
            "is not after the opening",
        ),
    ],
)
def test_invalid_hours_are_refused(
    monkeypatch: pytest.MonkeyPatch, args: list[str], message: str
) -> None:
    """Times without an offset, and a closing that is not after the opening, are errors."""
    assert message in str(polling_hours(monkeypatch, *args))


def test_shared_hours_are_ignored_by_other_services(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A service without polling hours ignores them in the shared section."""
    toml = "[voting.polls]\nopen = 2026-11-03T07:00:00Z\n"
    assert kafka_address(monkeypatch, tmp_path, toml).exit_code == 0


def test_a_nested_setting_out_of_range_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error contains the validator's message."""
    assert "is none of debug, info" in str(polling_hours(monkeypatch, "--log-level=loud"))
