"""Where settings come from."""

from pathlib import Path

import attrs
import click
import pytest
import typed_settings as ts
from click.testing import CliRunner, Result

from voting_core.database import describe
from voting_core.exceptions import InputError
from voting_core.settings import DatabaseSettings, KafkaSettings, settings_options


@attrs.frozen
class Settings:
    """Settings of a command under test."""

    kafka: KafkaSettings = ts.option(factory=KafkaSettings)
    database: DatabaseSettings = ts.option(factory=DatabaseSettings)


def kafka_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, toml: str, *args: str) -> Result:
    """What comes of a command that prints its Kafka address, with a TOML file."""
    file = tmp_path / "voting.toml"
    file.write_text(toml)
    monkeypatch.setenv("VOTING_CONFIG", str(file))

    @click.command()
    @settings_options(Settings, "thing")
    def command(settings: Settings) -> None:
        click.echo(settings.kafka.bootstrap_servers)

    return CliRunner().invoke(command, args)


def test_an_option_beats_a_variable_beats_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The closer to the user, the stronger."""
    monkeypatch.delenv("VOTING_KAFKA_BOOTSTRAP_SERVERS", raising=False)
    toml = '[voting.kafka]\nbootstrap_servers = "shared:1"\n'
    assert kafka_address(monkeypatch, tmp_path, toml).output == "shared:1\n"
    toml += '[thing.kafka]\nbootstrap_servers = "own:2"\n'
    assert kafka_address(monkeypatch, tmp_path, toml).output == "own:2\n"
    monkeypatch.setenv("VOTING_KAFKA_BOOTSTRAP_SERVERS", "variable:3")
    assert kafka_address(monkeypatch, tmp_path, toml).output == "variable:3\n"
    option = "--kafka-bootstrap-servers=option:4"
    assert kafka_address(monkeypatch, tmp_path, toml, option).output == "option:4\n"


def test_a_file_may_hold_what_other_services_need(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Shared sections that a service has no use for, and those of others, do not disturb it."""
    toml = '[voting.draw]\nseed = "x"\n[other]\nsize = 3\n'
    assert kafka_address(monkeypatch, tmp_path, toml).exit_code == 0


@pytest.mark.parametrize("section", ["voting", "thing"])
def test_a_misspelt_setting_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, section: str
) -> None:
    """A name that nobody knows is an error that says where it stands, not passed over."""
    error = kafka_address(monkeypatch, tmp_path, f"[{section}]\nkafak = 1\n").exception
    assert isinstance(error, InputError)
    assert "kafak" in str(error)
    assert "voting.toml" in str(error)


def test_the_password_is_not_shown() -> None:
    """Neither a description of the database nor its settings' repr tell the password."""
    settings = DatabaseSettings(ts.SecretStr("postgresql://ann:hush@db:5433/voting"))
    assert describe(settings) == "ann@db:5433/voting"
    assert "hush" not in repr(settings)


def test_a_malformed_database_url_is_told_without_its_content() -> None:
    """A URL that cannot be read is refused, and the password in it is not repeated."""
    with pytest.raises(InputError) as caught:
        describe(DatabaseSettings(ts.SecretStr("postgresql://ann:hush@[db")))
    assert "hush" not in str(caught.value)
