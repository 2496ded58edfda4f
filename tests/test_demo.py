"""Whole elections by one command, checked against plain arithmetic on their sources."""

import csv
import importlib.util
import json
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest
from psycopg.sql import SQL, Identifier

from testkit.checker.results_file import count_by, plain_totals
from testkit.election import Election
from testkit.paths import ROOT, US_2020
from testkit.processes import run_demo
from testkit.waiting import eventually
from voting_infra.service_commands import environment_without_settings

DATA_STORES = ("source", "postgres", "votes_topic", "aggregates")


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
    """Check that every data store holds exactly these totals."""
    for store in DATA_STORES:
        assert summary[store]["candidates"] == candidates, store
        assert summary[store]["locations"] == states, store
        assert summary[store]["votes"] == sum(candidates.values()), store


def test_the_2020_election_is_counted_exactly(tmp_path: Path) -> None:
    """At one ballot for every 4,000 votes each total is the quotient of plain arithmetic."""
    summary = counted(tmp_path / "out.json", "--results", str(US_2020), "--scale", "4000")
    totals = plain_totals(US_2020, 4000)
    assert len(count_by(1, totals)) == 51
    assert_totals(summary, count_by(0, totals), count_by(1, totals))
    assert summary["postgres"]["rejected"] == {}


def test_another_results_file_is_counted_exactly(tmp_path: Path) -> None:
    """Rows split by mode, commas, accents and a candidate with too few votes are handled."""
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
    """The stored votes per candidate or state."""
    rows = election.conn.execute(
        SQL(
            "SELECT {column}, count(*) FROM votes JOIN candidates USING (candidate_id) GROUP BY 1"
        ).format(column=Identifier(column))
    )
    return {str(value): int(votes) for value, votes in rows}


def test_the_same_seed_gives_the_same_election(election: Election, tmp_path: Path) -> None:
    """Synthetic elections on the demo's stack and on another agree on every total."""
    args = ("--source=synthetic", "--voters=2000", "--seed=7")
    done = election.run("voting-producer", "run", *args)
    assert done.returncode == 0, done.stderr
    election.consume()
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
    """Voters read over HTTP are registered, given a drawn choice, and counted everywhere alike."""
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
    """One line says what is wrong with the file; the exit code is 2 and nothing is started."""
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
def test_without_a_suitable_java_the_demo_ends_at_once(
    tmp_path: Path, java: str | None, message: str
) -> None:
    """One line says that Java is missing or too old, and what to install."""
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
    """The demo ends with the service's message and exit code, and writes no summary."""
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
    """How many of the processes have a name and still run."""
    count = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            count += process.name() == name
    return count


def await_end(processes: list[psutil.Process]) -> None:
    """Wait until all of the processes have ended."""
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert alive == []


# A parent of the demo that waits for it, as a shell does.
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
    """When the demo or its parent is interrupted, terminated or killed, all its processes end."""
    process = subprocess.Popen(
        [*starter, sys.executable, "-m", "voting_infra.demo", "--headless"],
        env=environment_without_settings(),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        # Kafka's and Spark's: by then the last service has started a process of its own.
        eventually(
            lambda: count_named("java", family(process.pid)) >= 2,
            "two Java processes run",
            timeout=120,
            interval=0.2,
        )
        processes = family(process.pid)
        process.send_signal(number)
        process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()
    await_end(processes)
