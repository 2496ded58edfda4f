"""The exit codes and error messages of console scripts."""

import attrs
import click
import psycopg
import pytest
import typed_settings as ts
from confluent_kafka import KafkaError, KafkaException

from voting_core.exceptions import FatalError, InputError
from voting_core.service.cli import run_command
from voting_core.service.settings import settings_options


@attrs.frozen
class Settings:
    """Settings of a command under test."""

    size: int = ts.option(default=1, validator=attrs.validators.ge(1), help="A size.")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("wrong option"), 2, "wrong option"),
        (FatalError("gave up"), 1, "gave up"),
        (psycopg.OperationalError("gone\nfor good"), 1, "PostgreSQL: gone for good"),
        (KafkaException(KafkaError(KafkaError._TRANSPORT, "no broker")), 1, "Kafka: no broker"),
    ],
)
def test_errors_are_one_line(
    error: Exception, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message is shown without a traceback, with the error's exit code."""

    @click.command(name="thing")
    def command() -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        run_command(command, [])
    assert caught.value.code == code
    assert capsys.readouterr().err == f"thing: {line}\n"


@pytest.mark.parametrize("inside_a_c_function", [False, True])
def test_an_interrupt_ends_without_a_message(
    inside_a_c_function: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the shell's exit code for Ctrl-C."""

    @click.command(name="thing")
    def command() -> None:
        if inside_a_c_function:
            raise SystemError("returned a result with an exception set") from KeyboardInterrupt()
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as caught:
        run_command(command, [])
    assert caught.value.code == 130
    assert capsys.readouterr().err.strip() == ""


def test_unexpected_errors_show_their_traceback() -> None:
    """An error that is not mapped to an exit code is raised."""

    @click.command(name="thing")
    def command() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command(command, [])


@pytest.mark.parametrize("size", ["0", "many"])
def test_a_wrong_setting_is_one_line(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A value out of range or of the wrong type gives exit code 2 and the setting's name."""

    @click.command(name="thing")
    @settings_options(Settings, "thing")
    def command(settings: Settings) -> None:
        raise AssertionError

    with pytest.raises(SystemExit) as caught:
        run_command(command, ["--size", size])
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert "size" in message
    assert "Traceback" not in message


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (1, 1)])
def test_a_result_is_the_exit_code(result: int | None, code: int) -> None:
    """The process exits with the code that the command returns."""

    @click.command(name="thing")
    def command() -> int | None:
        return result

    with pytest.raises(SystemExit) as caught:
        run_command(command, [])
    assert caught.value.code == code
