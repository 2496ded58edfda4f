"""Writing a bundle's directory, and the form of its manifest."""

import hashlib
from pathlib import Path

import pytest
from sample_bundle import CANVASS, REJECTED, coverage_of, sample_votes, totals_of

from voting_core.exceptions import InputError
from voting_core.operator.results.bundle import new_directory
from voting_core.operator.results.manifest import FileEntry, build_manifest, encode_manifest

DIGEST = "039d9482ce2afe83afe0659db5099a18a6c366bc27ec5bb65a46d880db0be32a"


def names(directory: Path) -> list[str]:
    """Return the names of a directory's entries."""
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize("exists", [False, True])
def test_a_directory_appears_whole(exists: bool, tmp_path: Path) -> None:
    """The directory is missing or empty while files are written, and complete afterwards."""
    out = tmp_path / "out"
    if exists:
        out.mkdir()
    with new_directory(out) as partial:
        (partial / "one").write_text("1")
        assert not out.exists() or not names(out)
        assert partial.parent == tmp_path
    assert names(tmp_path) == ["out"]
    assert names(out) == ["one"]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    """An error removes the files written before it."""

    def fail() -> None:
        with new_directory(tmp_path / "out") as partial:
            (partial / "one").write_text("1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(tmp_path) == []


@pytest.mark.parametrize("out", ["full", "file", "dangling", "nowhere/out"])
def test_an_existing_file_is_not_replaced(out: str, tmp_path: Path) -> None:
    """A non-empty directory, a file, a link and a missing parent are refused and unchanged."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "one").write_text("1")
    (tmp_path / "file").write_text("1")
    (tmp_path / "dangling").symlink_to("nothing")
    with pytest.raises(InputError, match=Path(out).parts[0]), new_directory(tmp_path / out):
        pytest.fail("was accepted")
    assert names(tmp_path) == ["dangling", "file", "full"]
    assert names(tmp_path / "full") == ["one"]


def test_a_directory_created_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """A directory that another process filled while files were written is not replaced."""
    out = tmp_path / "out"

    def race() -> None:
        with new_directory(out):
            out.mkdir()
            (out / "theirs").write_text("1")

    with pytest.raises(InputError, match="out"):
        race()
    assert names(tmp_path) == ["out"]
    assert names(out) == ["theirs"]


def test_the_form_of_a_manifest_never_changes() -> None:
    """A published digest stays valid: every release writes a manifest as the same bytes."""
    files = [FileEntry("results.csv", 900, "d0"), FileEntry("candidates.csv", 128, "c1")]
    totals = totals_of(sample_votes(25))
    content = encode_manifest(build_manifest(CANVASS, totals, REJECTED, coverage_of(25), files))
    assert hashlib.sha256(content).hexdigest() == DIGEST
