"""What docs/how-to/live-register.md describes: a register from files, ballots from any client."""

import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from testkit.election import Election
from testkit.paths import ROOT
from voting_core.service.java import find_java
from voting_infra.kafka_libs import resolve_kafka_libs

EXAMPLES = ROOT / "docs" / "examples"
GUIDE = ROOT / "docs" / "how-to" / "live-register.md"


@pytest.fixture
def registered(election: Election) -> Election:
    """An election with the guide's candidates and voters."""
    for what in ("candidates", "voters"):
        result = election.run("voting", "import", what, str(EXAMPLES / f"{what}.csv"))
        assert result.returncode == 0, result.stderr
    return election


def cast(election: Election) -> None:
    """Run the example client."""
    subprocess.run(
        [sys.executable, EXAMPLES / "cast_ballot.py", election.kafka.bootstrap_servers],
        check=True,
        timeout=60,
    )


def decided(election: Election, *options: str) -> tuple[dict[str, str], Counter[str]]:
    """Decide on the ballots; return the choice of each voter and the number of rejections."""
    election.consume(*options)
    votes = election.conn.execute("SELECT voter_id, candidate_id FROM votes").fetchall()
    rejections = election.conn.execute("SELECT reason FROM rejections").fetchall()
    return dict(votes), Counter(reason for (reason,) in rejections)


def test_the_example_client_casts_a_ballot_that_counts(registered: Election) -> None:
    """Sent twice it counts once; without an argument a variable says where Kafka is."""
    cast(registered)
    again = [sys.executable, str(EXAMPLES / "cast_ballot.py")]
    subprocess.run(again, env=registered.environment(), check=True, timeout=60)
    assert decided(registered) == ({"OH-000017": "nora-fields"}, {"already_voted": 1})


@pytest.fixture
def console_producer(registered: Election, tmp_path: Path) -> Callable[[str], None]:
    """Runs the guide's line for Kafka's console producer, with another voter's id."""
    (line,) = re.findall(r"^echo .*kafka-console-producer\.sh.*$", GUIDE.read_text("utf-8"), re.M)
    java = find_java(os.environ)
    libs = resolve_kafka_libs(registered.supervisor, java, os.environ)
    script = tmp_path / "kafka-console-producer.sh"
    command = shlex.join([str(java.path), "-cp", libs.class_path])
    script.write_text(f'#!/bin/sh\nexec {command} org.apache.kafka.tools.ConsoleProducer "$@"\n')
    script.chmod(0o755)
    env = registered.environment()
    env["PATH"] = f"{tmp_path}{os.pathsep}{env['PATH']}"

    def run(voter_id: str) -> None:
        ballot = line.replace("OH-000018", voter_id)
        subprocess.run(["sh", "-c", ballot], env=env, check=True, timeout=120)

    return run


def test_the_guides_console_producer_casts_a_ballot_that_counts(
    registered: Election, console_producer: Callable[[str], None]
) -> None:
    """The line is run exactly as in the guide."""
    console_producer("OH-000018")
    assert decided(registered) == ({"OH-000018": "victor-hale"}, {})


def test_all_clients_send_a_voters_ballots_to_one_partition(
    registered: Election, console_producer: Callable[[str], None]
) -> None:
    """The first ballot counts, whichever client sent it, since one partition has one order."""
    console_producer("OH-000017")
    cast(registered)
    assert decided(registered) == ({"OH-000017": "victor-hale"}, {"already_voted": 1})
    rows = registered.conn.execute(
        "SELECT source_partition FROM votes UNION SELECT source_partition FROM rejections"
    ).fetchall()
    assert len(rows) == 1


def test_ballots_outside_the_polling_hours_are_rejected(registered: Election) -> None:
    """A ballot before the opening is rejected, and the voter can still vote later."""
    soon = datetime.now(UTC) + timedelta(hours=1)
    cast(registered)
    assert decided(registered, f"--polls-open={soon.isoformat()}") == ({}, {"outside_hours": 1})
    cast(registered)
    assert decided(registered, f"--polls-close={soon.isoformat()}") == (
        {"OH-000017": "nora-fields"},
        {"outside_hours": 1},
    )
