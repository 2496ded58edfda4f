"""`voting certify`, `voting export` and `voting verify`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sample_bundle import write_sample

from voting_core.operator.cli import cli, results
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


def test_verify_says_that_a_bundle_is_sound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sound bundle ends with 0, the number of votes recounted and the manifest's digest."""
    digest = write_sample(tmp_path / "bundle").manifest_sha256
    assert run("verify", tmp_path / "bundle") == 0
    printed = capsys.readouterr().out
    assert "25 votes recounted" in printed
    assert digest in printed
    assert run("verify", tmp_path / "bundle", "--manifest-sha256", digest.upper()) == 0


def test_verify_says_what_is_wrong_and_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged bundle ends with 1, the file and the line."""
    write_sample(tmp_path / "bundle")
    path = tmp_path / "bundle" / "results.csv"
    path.write_bytes(path.read_bytes().replace(b"Bob", b"Rob", 1))
    assert run("verify", tmp_path / "bundle") == 1
    printed = capsys.readouterr().err
    assert "results.csv: has SHA-256" in printed
    assert "results.csv, line 3: holds" in printed


def test_verify_compares_the_digest_that_was_published(tmp_path: Path) -> None:
    """Another digest ends with 1, something that is no digest with 2."""
    write_sample(tmp_path / "bundle")
    assert run("verify", tmp_path / "bundle", "--manifest-sha256", "0" * 64) == 1
    assert run("verify", tmp_path / "bundle", "--manifest-sha256", "abc") == 2


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[ElectionOptions]:
    """Stand in for the system: what was asked for is kept, and certifying is refused."""
    seen: list[ElectionOptions] = []

    @contextmanager
    def connected(_: object) -> Iterator[tuple[None, None]]:
        yield None, None

    def refuse(*args: Any) -> None:
        seen.append(args[3])
        raise RefusedError(["3 records wait", "Ohio: 1, 2"])

    monkeypatch.setattr(results, "connected", connected)
    monkeypatch.setattr(results, "check_schema", lambda _: None)
    monkeypatch.setattr(publish, "certify", refuse)
    return seen


def test_certify_prints_every_reason(
    asked: list[ElectionOptions], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refusal ends with 1 and a line for each reason."""
    assert run("certify", "--out", tmp_path / "out") == 1
    assert capsys.readouterr().err == "Not certified:\n  3 records wait\n  Ohio: 1, 2\n"


def test_options_say_what_was_voted_on(asked: list[ElectionOptions], tmp_path: Path) -> None:
    """What the operator says of the election reaches the results."""
    args = ("--election-name", "E", "--contest-name", " C ", "--issuer", "I", "--test")
    assert run("certify", "--out", tmp_path, *args, "--election-date", "2020-11-03") == 1
    (options,) = asked
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
def test_what_the_format_does_not_know_is_refused(
    option: str, value: str, asked: list[ElectionOptions], tmp_path: Path
) -> None:
    """A date that is none, or a type that NIST SP 1500-100 does not have, ends with 2."""
    assert run("certify", "--out", tmp_path, option, value) == 2
    assert asked == []
