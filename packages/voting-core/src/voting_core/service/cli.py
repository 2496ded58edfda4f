"""How every console script ends: errors become one line and an exit code.

0: done; 1: it failed, or the count does not agree; 2: the call or something outside is to be
mended first; 130: interrupted.
"""

import sys
from collections.abc import Sequence
from typing import NoReturn

import click
from typed_settings.exceptions import TsError

from voting_core.exceptions import VotingError

__all__ = ["run_command"]

INTERRUPTED = 130


def run_command(command: click.Command, args: Sequence[str] | None = None) -> NoReturn:
    """Run a click command and exit; errors made on purpose are shown without a traceback.

    Args:
        command: Its callback returns None or an exit code.
        args: Arguments; by default those of the process.
    """
    name = command.name or "voting"
    try:
        sys.exit(command.main(args, prog_name=name, standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    except VotingError as error:
        _fail(name, str(error), error.exit_code)
    except (ExceptionGroup, TsError) as error:
        if isinstance(error, ExceptionGroup) and error.split(TsError)[1] is not None:
            raise
        _fail(name, _first_line_of_settings_error(error), 2)
    except Exception as error:
        message = _message_of_an_outside_error(error)
        if message is None:
            raise
        _fail(name, message, 1)


def _fail(name: str, message: str, code: int) -> NoReturn:
    click.echo(f"{name}: {message}", err=True)
    sys.exit(code)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _message_of_an_outside_error(error: Exception) -> str | None:
    # Imported only now: it would take `--help` longer than all the rest.
    import psycopg
    from confluent_kafka import KafkaException

    if isinstance(error, psycopg.Error):
        return f"PostgreSQL: {_one_line(error)}"
    if isinstance(error, KafkaException):
        return f"Kafka: {error.args[0].str()}"
    return None


def _first_line_of_settings_error(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return _one_line(error)
