"""The environment variables: misspelt ones, secrets in files, and passwords that stay hidden."""

from pathlib import Path

import attrs
import click
import pytest
import typed_settings as ts
from click.testing import CliRunner, Result

from voting_core.exceptions import InputError
from voting_core.service.settings import DatabaseSettings, KafkaSettings, settings_options
from voting_core.service.variables import check_sections, check_variables

SECRET = "postgresql://voting:s3cret@db/voting"


@attrs.frozen
class Settings:
    """Settings of a command."""

    kafka: KafkaSettings = ts.option(factory=KafkaSettings)
    database: DatabaseSettings = ts.option(factory=DatabaseSettings)


def run(*args: str) -> tuple[Result, list[Settings]]:
    """Run a command with these options in the present environment."""
    found: list[Settings] = []

    @click.command()
    @settings_options(Settings, "voting-consumer")
    def command(settings: Settings) -> None:
        found.append(settings)

    return CliRunner().invoke(command, args), found


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("VOTING_POLLS_CLOES", "VOTING_POLLS_CLOSE"),
        ("VOTING_KAFKA_BOOTSTRAP_SERVER", "VOTING_KAFKA_BOOTSTRAP_SERVERS"),
        ("VOTING_DATABASE_URL_FILES", "VOTING_DATABASE_URL_FILE"),
        ("VOTING_CONFIGURATION", "VOTING_CONFIG"),
    ],
)
def test_a_misspelt_variable_names_the_nearest(
    monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    """It is not ignored: the count would run without a closing time."""
    monkeypatch.setenv(name, "2026-11-03T20:00:00Z")
    result, found = run()
    assert isinstance(result.exception, InputError)
    assert f"{name} is not a setting; did you mean {nearest}?" in str(result.exception)
    assert found == []


def test_the_variables_of_other_commands_are_no_error() -> None:
    """One environment often serves all services; other programs' variables do not matter."""
    check_variables(["VOTING_TRIGGER", "VOTING_BATCH_SIZE", "VOTING_TAG", "PATH", "VOTINGS"])


def test_a_variable_that_resembles_none_has_no_hint() -> None:
    """A wrong hint would be worse."""
    with pytest.raises(InputError, match=r"VOTING_XYZZY is not a setting$"):
        check_variables(["VOTING_XYZZY"])


@pytest.mark.parametrize(
    ("section", "meant"),
    [
        ("voting_consumer", "voting-consumer"),
        ("Voting", "voting"),
        ("consumer", "voting-consumer"),
        ("voting-consumr", "voting-consumer"),
        ("votings", "voting"),
    ],
)
def test_a_misspelt_section_of_the_file_names_the_nearest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, section: str, meant: str
) -> None:
    """It would be ignored, and the count would run without a closing time."""
    file = tmp_path / "voting.toml"
    monkeypatch.setenv("VOTING_CONFIG", str(file))
    file.write_text(f'[{section}.polls]\nclose = "2026-11-03T20:00:00Z"\n')
    result, found = run()
    message = f"{file}: [{section}] is not a section; did you mean [{meant}]?"
    assert message in str(result.exception)
    assert found == []


def test_a_file_that_is_not_toml_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The message names it."""
    file = tmp_path / "voting.toml"
    monkeypatch.setenv("VOTING_CONFIG", str(file))
    file.write_text("[voting\n")
    assert str(file) in str(run()[0].exception)


def test_sections_of_other_programs_do_not_matter() -> None:
    """Nor those of another deployment."""
    check_sections(["tool", "voting", "voting-consumer-2", "voting-board", "database"])


def test_an_empty_secret_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The defaults would be those of another database."""
    file = tmp_path / "url"
    file.write_text("\n")
    monkeypatch.setenv("VOTING_DATABASE_URL_FILE", str(file))
    result, found = run()
    assert f"{file}: the file is empty" in str(result.exception)
    assert found == []


def test_a_secret_is_read_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the line feed that an editor adds; the option precedes it."""
    path = tmp_path / "url"
    path.write_text(f"{SECRET}\n")
    monkeypatch.setenv("VOTING_DATABASE_URL_FILE", str(path))
    _, (found,) = run()
    assert str(found.database.url) == SECRET
    _, (given,) = run("--database-url=postgresql://elsewhere/x")
    assert str(given.database.url) == "postgresql://elsewhere/x"


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_secret_that_cannot_be_read_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    """The default would be another database."""
    path = tmp_path / "url"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("VOTING_DATABASE_URL_FILE", str(path))
    result, _ = run()
    assert isinstance(result.exception, InputError)
    assert "VOTING_DATABASE_URL_FILE" in str(result.exception)


def test_a_secret_has_one_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two could differ."""
    monkeypatch.setenv("VOTING_DATABASE_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("VOTING_DATABASE_URL", SECRET)
    result, _ = run()
    assert isinstance(result.exception, InputError)
    assert "both set" in str(result.exception)


def test_a_secret_on_the_command_line_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other users of the machine can read it; from a variable it cannot be read."""
    result, (found,) = run(f"--database-url={SECRET}")
    assert "VOTING_DATABASE_URL_FILE" in result.stderr
    assert "s3cret" not in result.stderr + repr(found)
    monkeypatch.setenv("VOTING_DATABASE_URL", SECRET)
    result, _ = run()
    assert result.stderr == ""


def test_the_file_may_hold_settings_of_other_commands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A misspelt one is an error."""
    path = tmp_path / "voting.toml"
    monkeypatch.setenv("VOTING_CONFIG", str(path))
    path.write_text('[voting]\npartitions = 8\n[voting.kafka]\nbootstrap_servers = "k:9"\n')
    _, (found,) = run()
    assert found.kafka.bootstrap_servers == "k:9"
    path.write_text("[voting]\npartition = 8\n")
    result, _ = run()
    assert isinstance(result.exception, InputError)
    assert "partition" in str(result.exception)
