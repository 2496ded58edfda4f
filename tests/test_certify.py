"""The results of a real count: certified, compared with their source, and tampered with."""

import json
import random
from pathlib import Path

import pytest
from jsonschema.validators import validator_for

from testkit.checker.results_file import plain_totals
from testkit.election import Election
from testkit.paths import ROOT

SCHEMA = ROOT / "packages/voting-core/tests/schemas/NIST_V2_election_results_reporting.json"
SCALE = 10


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results file of two candidates in three states, some counties too small for a vote."""
    rng = random.Random(4)
    rows = ["state,county,candidate,party,candidatevotes"]
    for state in ("Ohio", "Texas", "Idaho"):
        for county in range(4):
            for candidate, party in (("ADA, COUNTESS", "ANALYTICAL"), ("ÉMILIE", "")):
                rows.append(f'{state},County {county},"{candidate}",{party},{rng.randint(0, 400)}')
    path = tmp_path / "source.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def stored(election: Election, results: Path) -> Election:
    """An election whose votes are stored and published, and not tallied yet."""
    done = election.run("voting-producer", "run", f"--results={results}", f"--scale={SCALE}")
    assert done.returncode == 0, done.stderr
    election.consume()
    return election


def test_a_count_is_certified_once_it_is_complete_and_any_change_is_found(
    stored: Election, results: Path
) -> None:
    """Refused while votes are untallied; then it equals the source, and any flipped bit shows."""
    bundle = stored.directory / "bundle"
    early = stored.run("voting", "certify", f"--out={bundle}")
    assert early.returncode == 1
    assert "Not certified" in early.stderr
    assert not bundle.exists()

    stored.tally()
    certified = stored.run("voting", "certify", f"--out={bundle}")
    assert certified.returncode == 0, certified.stderr
    digest = certified.stdout.split("SHA-256 of manifest.json: ")[1].split()[0]
    assert plain_totals(bundle / "results.csv") == plain_totals(results, SCALE)
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    report = json.loads((bundle / "results.json").read_text(encoding="utf-8"))
    validator_for(schema)(schema).validate(report)
    assert report["Status"] == "certified"
    verified = stored.run("voting", "verify", str(bundle), f"--manifest-sha256={digest}")
    assert verified.returncode == 0, verified.stderr

    rng = random.Random(5)
    files = sorted(path for path in bundle.iterdir())
    assert len(files) >= 5
    for path in files:
        content = path.read_bytes()
        changed = bytearray(content)
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        found = stored.run("voting", "verify", str(bundle), f"--manifest-sha256={digest}")
        assert found.returncode == 1, path.name
        assert path.name in found.stderr
        path.write_bytes(content)
    restored = stored.run("voting", "verify", str(bundle), f"--manifest-sha256={digest}")
    assert restored.returncode == 0, restored.stderr
