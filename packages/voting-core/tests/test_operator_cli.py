"""The commands `voting certify` and `voting verify`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from sample_bundle import write_sample

from voting_core.election import Election, ElectionMode
from voting_core.operator.cli import certify_export, cli
from voting_core.operator.results import publish
from voting_core.operator.results.exceptions import RefusedError
from voting_core.operator.results.publish import ElectionOptions
from voting_core.service.cli import run_command


def run(*args: str | Path) -> int:
    """Run the command and return its exit code."""
    with pytest.raises(SystemExit) as caught:
        run_command(cli, [str(arg) for arg in args])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_verify_accepts_a_valid_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A valid bundle gives exit code 0, the number of votes and the manifest's digest."""
    digest = write_sample(tmp_path / "bundle").manifest_sha256
    assert run("verify", tmp_path / "bundle") == 0
    printed = capsys.readouterr().out
    assert "25 votes recounted" in printed
    assert digest in printed
    assert run("verify", tmp_path / "bundle", "--manifest-sha256", digest.upper()) == 0


def test_verify_prints_the_file_and_line_of_a_defect(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged bundle gives exit code 1, the file and the line."""
    write_sample(tmp_path / "bundle")
    path = tmp_path / "bundle" / "results.csv"
    path.write_bytes(path.read_bytes().replace(b"Bob", b"Rob", 1))
    assert run("verify", tmp_path / "bundle") == 1
    printed = capsys.readouterr().err
    assert "results.csv: has SHA-256" in printed
    assert "results.csv, line 3: holds" in printed


def test_verify_compares_the_published_digest(tmp_path: Path) -> None:
    """Another digest gives exit code 1, an invalid one exit code 2."""
    write_sample(tmp_path / "bundle")
    assert run("verify", tmp_path / "bundle", "--manifest-sha256", "0" * 64) == 1
    assert run("verify", tmp_path / "bundle", "--manifest-sha256", "abc") == 2


@attrs.define
class FakeSystem:
    """Refuses to certify, without Kafka and PostgreSQL.

    Attributes:
        election: The election of both stores.
        given: The options of each call.
    """

    election: Election = attrs.field(
        factory=lambda: Election(
            election_id="mine",
            mode=ElectionMode.LIVE,
            name="Governor, 2026",
            began_at=datetime(2026, 11, 3, tzinfo=UTC),
        )
    )
    given: list[ElectionOptions] = attrs.field(factory=list)

    @contextmanager
    def connected_election(self, _: object) -> Iterator[tuple[None, None, Election]]:
        """Connect to nothing."""
        yield None, None, self.election

    def certify(self, *args: Any) -> None:
        """Keep the options, and refuse."""
        self.given.append(args[3])
        raise RefusedError(["3 records wait", "Ohio: 1, 2"])


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> FakeSystem:
    """A live election that cannot be certified."""
    system = FakeSystem()
    monkeypatch.setattr(certify_export, "connected_election", system.connected_election)
    monkeypatch.setattr(publish, "certify", system.certify)
    return system


def test_certify_prints_every_reason(
    system: FakeSystem, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refusal gives exit code 1 and a line for each reason."""
    assert run("certify", "--out", tmp_path / "out") == 1
    assert capsys.readouterr().err == "Not certified:\n  3 records wait\n  Ohio: 1, 2\n"


def test_options_describe_the_election(system: FakeSystem, tmp_path: Path) -> None:
    """The options reach the results."""
    args = ("--election-name", "E", "--contest-name", " C ", "--issuer", "I", "--test")
    assert run("certify", "--out", tmp_path, *args, "--election-date", "2020-11-03") == 1
    (options,) = system.given
    assert (options.name, options.contest, options.issuer, options.is_test) == ("E", "C", "I", True)
    assert str(options.day) == "2020-11-03"


def test_results_have_the_name_of_the_election(system: FakeSystem, tmp_path: Path) -> None:
    """Unless they are given another."""
    run("certify", "--out", tmp_path)
    run("certify", "--out", tmp_path, "--election-name", "Governor of Ohio, 2026")
    assert [each.name for each in system.given] == ["Governor, 2026", "Governor of Ohio, 2026"]


@pytest.mark.parametrize("mode", ElectionMode)
def test_results_of_a_rehearsal_are_marked_as_such(
    mode: ElectionMode, system: FakeSystem, tmp_path: Path
) -> None:
    """Whether or not the operator says so; `--test` marks those of a live election too."""
    system.election = attrs.evolve(system.election, mode=mode)
    run("certify", "--out", tmp_path)
    run("certify", "--out", tmp_path, "--test")
    assert [each.is_test for each in system.given] == [mode is ElectionMode.REHEARSAL, True]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--election-date", "2020-11-31"),
        ("--election-date", "20201103"),
        ("--election-type", "referendum"),
        ("--location-type", "planet"),
        ("--issuer", " "),
        ("--election-name", " "),
    ],
)
def test_a_value_outside_the_format_is_refused(
    option: str, value: str, system: FakeSystem, tmp_path: Path
) -> None:
    """An invalid date, or a type unknown to NIST SP 1500-100, gives exit code 2."""
    assert run("certify", "--out", tmp_path, option, value) == 2
    assert system.given == []
