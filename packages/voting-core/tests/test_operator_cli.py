"""The commands `voting certify` and `voting verify`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sample_bundle import write_sample

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


@pytest.fixture
def certified(monkeypatch: pytest.MonkeyPatch) -> list[ElectionOptions]:
    """Refuse to certify, without Kafka and PostgreSQL, and collect the options given."""
    given: list[ElectionOptions] = []

    @contextmanager
    def connected_election(_: object) -> Iterator[tuple[None, None, None]]:
        yield None, None, None

    def refuse(*args: Any) -> None:
        given.append(args[3])
        raise RefusedError(["3 records wait", "Ohio: 1, 2"])

    monkeypatch.setattr(certify_export, "connected_election", connected_election)
    monkeypatch.setattr(publish, "certify", refuse)
    return given


def test_certify_prints_every_reason(
    certified: list[ElectionOptions], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refusal gives exit code 1 and a line for each reason."""
    assert run("certify", "--out", tmp_path / "out") == 1
    assert capsys.readouterr().err == "Not certified:\n  3 records wait\n  Ohio: 1, 2\n"


def test_options_describe_the_election(certified: list[ElectionOptions], tmp_path: Path) -> None:
    """The options reach the results."""
    args = ("--election-name", "E", "--contest-name", " C ", "--issuer", "I", "--test")
    assert run("certify", "--out", tmp_path, *args, "--election-date", "2020-11-03") == 1
    (options,) = certified
    assert (options.name, options.contest, options.issuer, options.is_test) == ("E", "C", "I", True)
    assert str(options.day) == "2020-11-03"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--election-date", "2020-11-31"),
        ("--election-date", "20201103"),
        ("--election-type", "referendum"),
        ("--location-type", "planet"),
        ("--issuer", " "),
    ],
)
def test_a_value_outside_the_format_is_refused(
    option: str, value: str, certified: list[ElectionOptions], tmp_path: Path
) -> None:
    """An invalid date, or a type unknown to NIST SP 1500-100, gives exit code 2."""
    assert run("certify", "--out", tmp_path, option, value) == 2
    assert certified == []
