"""Tests of the log."""

import logging
import subprocess
import sys

import pytest

from voting_core.service.logging import REPEAT_SECONDS, NoRepetitions

# Logs an error of a library, in whose frame a password is.
LOGS_AN_ERROR = """
import logging, sys
from voting_core.service.logging import configure_logging
from voting_core.service.settings import LogSettings

def connect(conninfo):
    raise OSError("refused")

configure_logging(LogSettings(format=sys.argv[1]), "voting-consumer")
try:
    connect("password=" + "hu" + "sh")
except OSError:
    logging.getLogger("library").exception("no connection")
"""


def record(message: str, created: float) -> logging.LogRecord:
    """Return a log record of a time, in seconds."""
    made = logging.LogRecord("librdkafka", logging.ERROR, "", 0, message, None, None)
    made.created = created
    return made


def failure(client: int, port: int = 9092) -> str:
    """Return librdkafka's message about a failed attempt to connect."""
    return (
        f"FAIL [rdkafka#consumer-{client}] [thrd:k:{port}/1]: k:{port}/1: Connect to "
        f"ipv4#10.0.0.1:{port} failed: Connection refused (after {client}ms in state CONNECT)"
    )


def test_repeated_messages_of_librdkafka_are_dropped() -> None:
    """A broker's failure is logged once in a while, whichever client and attempt it is of."""
    repetitions = NoRepetitions()
    assert [repetitions.filter(record(failure(n), n / 20)) for n in range(100)] == [
        True,
        *[False] * 99,
    ]
    assert repetitions.filter(record(failure(1, port=9093), 5))
    assert repetitions.filter(record(failure(100), REPEAT_SECONDS))
    assert not repetitions.filter(record(failure(101), REPEAT_SECONDS + 1))


def test_old_messages_are_forgotten() -> None:
    """The memory for messages is bounded by what is logged in the interval."""
    repetitions = NoRepetitions()
    for n in range(1000):
        assert repetitions.filter(record(f"message {n}", n * REPEAT_SECONDS / 10))
    assert len(repetitions._logged) <= 10


@pytest.mark.parametrize("form", ["console", "json"])
def test_the_local_variables_of_an_error_are_not_logged(form: str) -> None:
    """A password can be among them."""
    done = subprocess.run(
        [sys.executable, "-c", LOGS_AN_ERROR, form], capture_output=True, text=True, check=True
    )
    assert "OSError" in done.stderr
    assert "hush" not in done.stderr
