"""The whole pipeline through a short schedule of faults."""

import json
from pathlib import Path

from testkit.processes import run_module


def test_nothing_is_lost_or_counted_twice_while_every_part_is_killed(tmp_path: Path) -> None:
    """Producer, consumer, stream, Kafka and PostgreSQL die under load, and every ballot counts."""
    path = tmp_path / "report.json"
    done = run_module(
        "chaos",
        *("--kills", "6", "--voters", "3000", "--seed", "1", "--report", str(path)),
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(path.read_text(encoding="utf-8"))
    assert report["kills"]["all"] == 6
    assert report["lost"] == report["duplicated"] == {"votes": 0, "votes_topic": 0, "aggregates": 0}
    assert report["accepted"] == 3000
    assert report["read"] == report["accepted"] + sum(report["rejected"].values())
    assert report["rejected"].keys() <= {"already_voted"}
    assert report["rejected"].get("already_voted", 0) == report["resent"]
