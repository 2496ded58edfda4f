"""The command line: which source, and which errors before anything is written."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_random_user import FakeRandomUser

from voting_core.exceptions import InputError
from voting_core.kafka import admin
from voting_producer.cli import DEFAULT_VOTERS, main, make_source
from voting_producer.settings import ProducerSettings
from voting_producer.sources.random_user import RandomUserSource
from voting_producer.sources.results import ResultsSource
from voting_producer.sources.synthetic import SyntheticSource

COMMAND = [sys.executable, "-m", "voting_producer", "run"]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run the command where no Kafka is; return the exit code and what it said."""
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


def test_source_follows_from_the_options(write_results: Callable[..., Path]) -> None:
    """A results file is replayed if one is given, else people are made up; a name decides first."""
    path = write_results(("OHIO", "ANN", "RED", 50))
    replay = make_source(ProducerSettings(results=path, scale=10))
    assert isinstance(replay, ResultsSource)
    assert replay.expected == 5
    made_up = make_source(ProducerSettings())
    assert isinstance(made_up, SyntheticSource)
    assert made_up.expected == DEFAULT_VOTERS
    asked = make_source(ProducerSettings(source="random-user", voters=7, results=path))
    assert isinstance(asked, RandomUserSource)
    assert asked.expected == 7
    asked.close()


def test_results_need_a_file() -> None:
    """Replaying without a file is refused."""
    with pytest.raises(InputError, match="--results"):
        make_source(ProducerSettings(source="results"))


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
def test_wrong_call_is_one_line_and_exit_code_2(
    run: Callable[..., tuple[int, str]], arguments: tuple[str, ...]
) -> None:
    """What is wrong with the call is said in one line, before Kafka is asked for."""
    code, said = run(*arguments)
    assert code == 2
    assert said.count("\n") == 1
    assert said.startswith("voting-producer: ")
    assert "127.0.0.1:9" not in said


def test_unreachable_kafka_is_named(
    run: Callable[..., tuple[int, str]], write_results: Callable[..., Path]
) -> None:
    """Without Kafka the address is said, exit code 2, and no report is written."""
    path = write_results(("OHIO", "ANN", "RED", 50))
    report = path.with_name("report.json")
    code, said = run("--results", str(path), "--report", str(report))
    assert code == 2
    assert "voting-producer: no Kafka broker answers at 127.0.0.1:9" in said
    assert not report.exists()


def test_failing_api_is_named(run: Callable[..., tuple[int, str]]) -> None:
    """An API that refuses is said with its address, exit code 2, before Kafka is asked for."""
    with FakeRandomUser(failures=(404,)) as fake:
        code, said = run("--source", "random-user", "--api-url", fake.url)
    assert code == 2
    assert f"voting-producer: the Random User API at {fake.url}/api/1.4/: status 404" in said
    assert "127.0.0.1:9" not in said


def test_signal_ends_the_wait_for_the_api() -> None:
    """SIGTERM while the API's rate limit is waited out ends the process with code 143."""
    with FakeRandomUser(limit=0) as fake:
        process = subprocess.Popen(
            [*COMMAND, "--source", "random-user", "--api-url", fake.url],
            stderr=subprocess.PIPE,
            text=True,
        )
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
            process.wait()
    assert "stopped before the first voter" in rest
    assert "Traceback" not in rest
