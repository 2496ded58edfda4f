"""Whole elections from one command, checked against plain arithmetic on their sources."""

import csv
import importlib.util
import json
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest
from conftest import ROOT, US_2020, Election, run_demo
from psycopg.sql import SQL, Identifier

from voting_infra.service_commands import environment_without_settings

PLACES = ("source", "postgres", "votes_topic", "aggregates")


def expected(path: Path, scale: int) -> tuple[dict[str, int], dict[str, int]]:
    """Totals per candidate and per state: each candidate's votes in a state, divided whole."""
    totals: Counter[tuple[str, str]] = Counter()
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            totals[row["candidate"], row["state"]] += int(row["candidatevotes"])
    candidates: Counter[str] = Counter()
    states: Counter[str] = Counter()
    for (candidate, state), votes in totals.items():
        candidates[candidate] += votes // scale
        states[state] += votes // scale
    return dict(+candidates), dict(+states)


def counted(summary_file: Path, *args: str) -> dict[str, Any]:
    """The summary of a demo that must succeed."""
    done = run_demo("--summary", str(summary_file), *args)
    assert done.returncode == 0, done.stdout + done.stderr
    summary: dict[str, Any] = json.loads(summary_file.read_text(encoding="utf-8"))
    assert summary["reconciled"] is True
    assert summary["votes_topic"]["duplicates"] == 0
    assert summary["votes_per_second"] == pytest.approx(
        summary["postgres"]["votes"] / summary["seconds"], rel=0.01, abs=0.051
    )
    return summary


def assert_totals(
    summary: dict[str, Any], candidates: dict[str, int], states: dict[str, int]
) -> None:
    """Every place must hold exactly these totals."""
    for place in PLACES:
        assert summary[place]["candidates"] == candidates, place
        assert summary[place]["locations"] == states, place
        assert summary[place]["votes"] == sum(candidates.values()), place


def test_the_2020_election_is_counted_exactly(tmp_path: Path) -> None:
    """At one vote for every few thousand each total is the quotient that plain arithmetic gives."""
    summary = counted(tmp_path / "out.json", "--results", str(US_2020), "--scale", "4000")
    candidates, states = expected(US_2020, 4000)
    assert len(states) == 51
    assert_totals(summary, candidates, states)
    assert summary["postgres"]["rejected"] == {}


def test_another_results_file_is_counted_exactly(tmp_path: Path) -> None:
    """Other candidates and places, rows split by mode, commas and accents: as exact."""
    results = tmp_path / "results.csv"
    rows = [
        ("SÃO PAULO", "A", "ÁLVARES, LÚCIA", "PV", "ELECTION DAY", 1234),
        ("SÃO PAULO", "A", "ÁLVARES, LÚCIA", "PV", "MAIL", 66),
        ("SÃO PAULO", "B", "NAKAMURA", "", "ELECTION DAY", 999),
        ("BAHIA", "C", "NAKAMURA", "", "ELECTION DAY", 101),
        ("BAHIA", "D", "NAKAMURA", "", "ELECTION DAY", 99),
        ("BAHIA", "D", "ÁLVARES, LÚCIA", "PV", "ELECTION DAY", 49),
        ("BAHIA", "D", "TOO FEW", "X", "ELECTION DAY", 3),
    ]
    with results.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                "year",
                "state",
                "county_name",
                "county_fips",
                "office",
                "candidate",
                "party",
                "mode",
                "candidatevotes",
                "totalvotes",
            ]
        )
        for state, county, candidate, party, mode, votes in rows:
            writer.writerow(
                (2022, state, county, "", "GOVERNOR", candidate, party, mode, votes, 9999)
            )
    summary = counted(tmp_path / "out.json", "--results", str(results), "--scale", "10")
    assert_totals(
        summary,
        {"ÁLVARES, LÚCIA": 130 + 4, "NAKAMURA": 99 + 20},
        {"SÃO PAULO": 229, "BAHIA": 24},
    )


def stored_totals(election: Election, column: str) -> dict[str, int]:
    """The votes per candidate or place that PostgreSQL holds."""
    rows = election.conn.execute(
        SQL(
            "SELECT {column}, count(*) FROM votes JOIN candidates USING (candidate_id) GROUP BY 1"
        ).format(column=Identifier(column))
    )
    return {str(value): int(votes) for value, votes in rows}


def test_the_same_seed_gives_the_same_election(election: Election, tmp_path: Path) -> None:
    """Synthetic elections on two stacks, the demo's and another, agree on every total."""
    args = ("--source=synthetic", "--voters=2000", "--seed=7")
    for script, *options in (
        ("voting-producer", *args),
        ("voting-consumer", "--until-idle=1"),
    ):
        done = election.run(script, "run", *options)
        assert done.returncode == 0, done.stderr
    candidates = stored_totals(election, "candidate_name")
    assert len(candidates) == 3
    assert sum(candidates.values()) == 2000
    assert_totals(
        counted(tmp_path / "out.json", *args), candidates, stored_totals(election, "state")
    )


def fake_api() -> ModuleType:
    """The server that answers like the Random User API, from the producer's tests."""
    path = ROOT / "packages" / "voting-producer" / "tests" / "fake_random_user.py"
    spec = importlib.util.spec_from_file_location("fake_random_user", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_people_of_the_random_user_api_vote(tmp_path: Path) -> None:
    """Voters that came over HTTP are registered, drawn a choice and counted everywhere alike."""
    with fake_api().FakeRandomUser() as server:
        summary = counted(
            tmp_path / "out.json",
            *("--source", "random-user", "--voters", "300", "--api-url", server.url),
        )
    assert summary["source"]["votes"] == 300
    assert sum(summary["source"]["candidates"].values()) == 300


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        ("", "is empty"),
        ("state,candidate\nOHIO,ADA\n", "lacks the column 'candidatevotes'"),
        ("state,candidate,candidatevotes\nOHIO,ADA,1\nOHIO,BOB,-2\n", "row 2 (line 3)"),
        ("state,candidate,candidatevotes\nOHIO,ADA,1.5\n", "row 1 (line 2)"),
    ],
)
def test_a_bad_results_file_ends_the_demo_at_once(
    tmp_path: Path, content: str | None, message: str
) -> None:
    """One line says what is wrong with the file; the exit code is 2 and nothing was started."""
    results = tmp_path / "results.csv"
    if content is not None:
        results.write_text(content)
    summary = tmp_path / "out.json"
    done = run_demo("--results", str(results), "--summary", str(summary), timeout=30)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert message in line
    assert not summary.exists()


@pytest.mark.parametrize(
    ("java", "message"),
    [(None, "there is no java on PATH"), ("11.0.2", "is Java 11")],
)
def test_without_a_java_that_will_do_the_demo_ends_at_once(
    tmp_path: Path, java: str | None, message: str
) -> None:
    """No Java, or one that is too old, is told in one line with what to install."""
    env = environment_without_settings() | {"PATH": str(tmp_path)}
    env.pop("JAVA_HOME", None)
    if java is not None:
        program = tmp_path / "java"
        program.write_text(f"#!/bin/sh\necho 'openjdk version \"{java}\"' >&2\n")
        program.chmod(0o755)
    done = run_demo(timeout=30, env=env)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert message in line
    assert "install Java 17 or 21" in line


def test_a_service_that_cannot_start_ends_the_demo(tmp_path: Path) -> None:
    """The demo ends with that service's own line and exit code, and writes no summary."""
    summary = tmp_path / "out.json"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_demo("--port", str(port), "--summary", str(summary))
    assert done.returncode == 2, done.stdout
    assert str(port) in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not summary.exists()


def family(pid: int) -> list[psutil.Process]:
    """The descendants of a process."""
    return psutil.Process(pid).children(recursive=True)


def count_named(name: str, processes: list[psutil.Process]) -> int:
    """How many of the processes have a name; one that has ended has none."""
    count = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            count += process.name() == name
    return count


def await_end(processes: list[psutil.Process]) -> None:
    """Wait until all of the processes have gone."""
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert alive == []


# What starts the demo and waits for it, as a shell does.
STARTER = "import subprocess, sys; subprocess.run(sys.argv[1:])"


@pytest.mark.parametrize(
    ("starter", "number"),
    [
        ([], signal.SIGINT),
        ([], signal.SIGTERM),
        ([], signal.SIGKILL),
        ([sys.executable, "-c", STARTER], signal.SIGKILL),
    ],
)
def test_nothing_is_left_behind(starter: list[str], number: signal.Signals) -> None:
    """Interrupted, terminated or killed, itself or its parent, the demo takes all its processes."""
    process = subprocess.Popen(
        [*starter, sys.executable, "-m", "voting_infra.demo", "--headless"],
        env=environment_without_settings(),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        # Kafka's and Spark's: the last of the services has started, and something of its own.
        while count_named("java", family(process.pid)) < 2:
            assert time.monotonic() < deadline, "the services did not start"
            time.sleep(0.2)
        processes = family(process.pid)
        process.send_signal(number)
        process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()
    await_end(processes)
