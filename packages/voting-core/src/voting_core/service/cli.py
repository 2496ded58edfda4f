"""Running a console script: an error becomes one line and an exit code.

`ExitCode` lists the exit codes.
"""

import sys
from collections.abc import Sequence
from typing import NoReturn

import click
from typed_settings.exceptions import TsError

from voting_core.exceptions import ExitCode, VotingError, one_line


def run_command(command: click.Command, args: Sequence[str] | None = None) -> NoReturn:
    """Run a click command and exit; expected errors are shown without a traceback.

    The callback of the command returns None or an exit code.
    """
    name = command.name or "voting"
    try:
        sys.exit(command.main(args, prog_name=name, standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(ExitCode.INTERRUPTED)
    except SystemError as error:
        # So arrives an interrupt inside a C function that does not look for it.
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        sys.exit(ExitCode.INTERRUPTED)
    except VotingError as error:
        _fail(name, str(error), error.exit_code)
    except (ExceptionGroup, TsError) as error:
        if isinstance(error, ExceptionGroup) and error.split(TsError)[1] is not None:
            raise
        _fail(name, _settings_error(error), ExitCode.SETUP)
    except Exception as error:
        message = _client_error(error)
        if message is None:
            raise
        _fail(name, message, ExitCode.FAILURE)


def _fail(name: str, message: str, code: int) -> NoReturn:
    click.echo(f"{name}: {message}", err=True)
    sys.exit(code)


def _client_error(error: Exception) -> str | None:
    """Return the message of an error of PostgreSQL or Kafka; None for another error."""
    # Imported here, because these imports would dominate the time of `--help`.
    import psycopg
    from confluent_kafka import KafkaException

    if isinstance(error, psycopg.Error):
        return f"PostgreSQL: {one_line(error)}"
    if isinstance(error, KafkaException):
        return f"Kafka: {error.args[0].str()}"
    return None


def _settings_error(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return one_line(error)
