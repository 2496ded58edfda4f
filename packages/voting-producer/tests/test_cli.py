"""The command line: errors before anything is written, and the end by a signal."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_random_user import FakeRandomUser

from voting_core.kafka import admin
from voting_producer.cli import main

COMMAND = [sys.executable, "-m", "voting_producer", "run"]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run the command without Kafka; return the exit code and standard error."""
    for name in [name for name in os.environ if name.startswith("VOTING_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(admin, "CONNECT_SECONDS", 0.5)

    def call(*arguments: str) -> tuple[int, str]:
        options = ["run", "--kafka-bootstrap-servers", "127.0.0.1:9", *arguments]
        monkeypatch.setattr(sys, "argv", ["voting-producer", *options])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert out == ""
        assert isinstance(ended.value.code, int)
        return ended.value.code, err

    return call


@pytest.mark.parametrize(
    "arguments",
    [
        ("--results", "/nowhere.csv"),
        ("--source", "results"),
        ("--scale", "0"),
        ("--slice", "0/2"),
        ("--slice", "3/2"),
        ("--slice", "x"),
        ("--voters", "0"),
        ("--rate", "-1"),
        ("--rate", "nan"),
        ("--page-size", "5001"),
        ("--report", "/nowhere/report.json"),
        ("--source", "random-user", "--voters", "50000001", "--page-size", "5000"),
    ],
)
def test_a_usage_error_is_one_line_and_exit_code_2(
    run: Callable[..., tuple[int, str]], arguments: tuple[str, ...]
) -> None:
    """The error is one line, before the first connection to Kafka."""
    code, error = run(*arguments)
    assert code == 2
    assert error.count("\n") == 1
    assert error.startswith("voting-producer: ")
    assert "127.0.0.1:9" not in error


def test_unreachable_kafka_is_named(
    run: Callable[..., tuple[int, str]], write_results: Callable[..., Path]
) -> None:
    """Without Kafka the error has its address, the exit code is 2, and no report is written."""
    path = write_results(("OHIO", "ANN", "RED", 50))
    report = path.with_name("report.json")
    code, error = run("--results", str(path), "--report", str(report))
    assert code == 2
    assert error.startswith("voting-producer: ")
    assert "127.0.0.1:9" in error
    assert not report.exists()


def test_failing_api_is_named(run: Callable[..., tuple[int, str]]) -> None:
    """An API error has its address and exit code 2, before the first connection to Kafka."""
    with FakeRandomUser(failures=(404,)) as fake:
        code, error = run("--source", "random-user", "--api-url", fake.url)
    assert code == 2
    assert f"voting-producer: the Random User API at {fake.url}/api/1.4/: status 404" in error
    assert "127.0.0.1:9" not in error


def test_signal_ends_the_wait_for_the_api() -> None:
    """SIGTERM during a wait for the API's rate limit ends the process with code 143."""
    with (
        FakeRandomUser(limit=0) as fake,
        subprocess.Popen(
            [*COMMAND, "--source", "random-user", "--api-url", fake.url],
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stderr is not None
        ending = threading.Timer(30, process.kill)
        ending.start()
        try:
            for line in process.stderr:
                if "rate limit" in line:
                    process.send_signal(signal.SIGTERM)
                    break
            rest = process.stderr.read()
            assert process.wait() == 143
        finally:
            ending.cancel()
            process.kill()
    assert "stopped before the first voter" in rest
    assert "Traceback" not in rest
