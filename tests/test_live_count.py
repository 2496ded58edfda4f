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

import attrs
import pytest

from testkit.election import Election, fresh_election
from testkit.paths import ROOT
from testkit.sample_ballots import CANDIDATES, sample_voters, send_ballots
from voting_core.database.election import read_election
from voting_core.database.voter_register import add_candidates, add_voters
from voting_core.election import ElectionChanges, ElectionMode
from voting_core.kafka import publish_election
from voting_core.service.java import find_java
from voting_infra import Stack
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


def set_rules(election: Election, *options: str) -> None:
    """Change the election's rules."""
    done = election.run("voting", "init", *options)
    assert done.returncode == 0, done.stderr


def test_a_consumer_with_other_hours_than_the_election_is_refused(registered: Election) -> None:
    """All consumers apply the same rules; the same hours given twice are no error."""
    hours = ("--polls-open=2000-01-01T00:00:00Z", "--polls-close=2100-01-01T01:00:00+01:00")
    refused = registered.run("voting-consumer", "run", "--until-idle=1", *hours)
    assert refused.returncode == 2
    assert "opening of the polls" in refused.stderr
    assert "voting init" in refused.stderr
    set_rules(registered, *hours)
    cast(registered)
    assert decided(registered, *hours) == ({"OH-000017": "nora-fields"}, {})


@pytest.mark.parametrize("mode", ["live", "rehearsal"])
def test_a_choice_is_drawn_in_a_rehearsal_only(stack: Stack, tmp_path: Path, mode: str) -> None:
    """In a live count a ballot without one is rejected, and the voter can vote again."""
    changes = ElectionChanges(mode=ElectionMode(mode))
    with fresh_election(stack, tmp_path, changes=changes) as election:
        voter = attrs.evolve(sample_voters(1)[0], choice=None)
        add_candidates(election.conn, CANDIDATES)
        add_voters(election.conn, [voter])
        send_ballots(election, [voter])
        choices, rejected = decided(election)
        assert (choices == {}) is (mode == "live")
        assert rejected == ({"no_choice": 1} if mode == "live" else {})
        send_ballots(election, [attrs.evolve(voter, choice="bob")])
        assert decided(election)[1] == {"no_choice" if mode == "live" else "already_voted": 1}


def test_a_ballot_from_before_the_election_is_malformed(registered: Election) -> None:
    """The broker accepts it if its delay is plausible; the recount agrees."""
    registered.conn.execute("UPDATE election SET began_at = now() + interval '1 hour'")
    registered.conn.execute("UPDATE election SET began_at = date_trunc('second', began_at)")
    election = read_election(registered.conn)
    assert election is not None
    publish_election(registered.kafka, election)
    cast(registered)
    assert decided(registered) == ({}, {"malformed": 1})
    assert registered.run("voting", "reconcile", "--deep", "--timeout=1").returncode == 0


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
    now = datetime.now(UTC)
    soon, before = (now + timedelta(hours=1)).isoformat(), (now - timedelta(hours=1)).isoformat()
    cast(registered)
    set_rules(registered, f"--polls-open={soon}")
    assert decided(registered) == ({}, {"outside_hours": 1})
    cast(registered)
    set_rules(registered, f"--polls-open={before}", f"--polls-close={soon}")
    assert decided(registered) == (
        {"OH-000017": "nora-fields"},
        {"outside_hours": 1},
    )
