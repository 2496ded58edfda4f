"""Verifying a bundle."""

import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_bundle import CANVASS, REJECTED, TOPIC, coverage_of, reseal, sample_votes, write_sample

from voting_core.operator.results.bundle import (
    CANDIDATES,
    FILES,
    LOCATIONS,
    MANIFEST,
    REJECTIONS,
    RESULTS_CSV,
    RESULTS_JSON,
    VOTE_LOG,
    write_bundle,
)
from voting_core.operator.results.manifest import Manifest, SourcePartition, decode_manifest
from voting_core.operator.results.model import LoggedVote, ResultsStatus
from voting_core.operator.results.verify import Defect, verify_bundle
from voting_core.operator.results.vote_log import write_votes

ALL_FILES = (*FILES, MANIFEST)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """An unchanged bundle."""
    write_sample(tmp_path / "bundle")
    return tmp_path / "bundle"


def defective(directory: Path, digest: str | None = None) -> set[str]:
    """Return the files with defects."""
    return {defect.file for defect in verify_bundle(directory, digest).defects}


@pytest.mark.parametrize("status", ResultsStatus)
def test_an_unchanged_bundle_is_valid(status: ResultsStatus, tmp_path: Path) -> None:
    """A bundle verifies as it was written, by itself and against the published digest."""
    written = write_sample(tmp_path / "bundle", attrs.evolve(CANVASS, status=status))
    found = verify_bundle(tmp_path / "bundle", written.manifest_sha256.upper())
    assert found.defects == ()
    assert found.manifest == written.manifest
    assert verify_bundle(tmp_path / "bundle").manifest_sha256 == written.manifest_sha256


def test_a_bundle_without_votes_is_valid(tmp_path: Path) -> None:
    """The results of an election without votes verify."""
    (tmp_path / "bundle").mkdir()
    write_bundle(tmp_path / "bundle", CANVASS, [], REJECTED, coverage_of(0))
    assert defective(tmp_path / "bundle") == set()


def test_the_same_results_give_the_same_bundle(tmp_path: Path) -> None:
    """Two bundles of the same data have the same digest."""
    first, second = write_sample(tmp_path / "first"), write_sample(tmp_path / "second")
    assert first.manifest_sha256 == second.manifest_sha256


@pytest.mark.parametrize("name", ALL_FILES)
def test_any_changed_byte_is_found(name: str, bundle: Path) -> None:
    """A flipped bit in any byte of a file is a defect of that file."""
    content = (bundle / name).read_bytes()
    bits = random.Random(name)
    positions = range(len(content))
    # The largest file is sampled, because it would take as long as all others.
    for position in bits.sample(positions, 500) if len(content) > 4_000 else positions:
        flipped = bytearray(content)
        flipped[position] ^= 1 << bits.randrange(8)
        (bundle / name).write_bytes(flipped)
        assert name in defective(bundle), position
    (bundle / name).write_bytes(content)
    assert defective(bundle) == set()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_other_change_is_found(bundle: Path, data: st.DataObject) -> None:
    """Removing, inserting or replacing bytes anywhere is a defect of that file."""
    name = data.draw(st.sampled_from(ALL_FILES))
    content = (bundle / name).read_bytes()
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, len(content)))
    changed = content[:start] + data.draw(st.binary(max_size=50)) + content[end:]
    (bundle / name).write_bytes(changed)
    try:
        assert (name in defective(bundle)) == (changed != content)
    finally:
        (bundle / name).write_bytes(content)


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_truncated_or_longer_file_is_found(name: str, bundle: Path) -> None:
    """A missing or additional byte at the end, or an empty file, is a defect of that file."""
    content = (bundle / name).read_bytes()
    for changed in (content[:-1], content + b"\n", content + b"\0", content + content, b""):
        (bundle / name).write_bytes(changed)
        assert name in defective(bundle)


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_missing_file_is_found(name: str, bundle: Path) -> None:
    """A file that is missing, or replaced by a folder or a link to it, is reported."""
    original = (bundle / name).rename(bundle.parent / "original")
    assert name in defective(bundle)
    (bundle / name).mkdir()
    assert name in defective(bundle)
    (bundle / name).rmdir()
    (bundle / name).symlink_to(original)
    assert Defect(name, "is a symbolic link") in verify_bundle(bundle).defects


@pytest.mark.parametrize(
    "add",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("results.csv"),
        lambda path: path.symlink_to("nowhere"),
    ],
)
@pytest.mark.parametrize("name", ["more.csv", ".hidden", "\udcff"])
def test_an_additional_entry_is_found(add: Callable[[Path], Any], name: str, bundle: Path) -> None:
    """A file, folder or link that does not belong to the bundle is reported in printable text."""
    add(bundle / name)
    defects = verify_bundle(bundle).defects
    assert [defect.file for defect in defects] == [name]
    str(defects[0]).encode()


def test_a_vote_for_an_unknown_candidate_is_found(tmp_path: Path) -> None:
    """A consistent bundle with a vote for an unknown candidate does not verify."""
    votes = sample_votes()
    votes[6] = attrs.evolve(votes[6], candidate_id="eve")
    write_sample(tmp_path / "bundle", votes=votes)
    (defect,) = verify_bundle(tmp_path / "bundle").defects
    assert (defect.file, defect.line) == (VOTE_LOG, 7)
    assert "'eve'" in defect.what


def test_a_changed_manifest_is_found(bundle: Path) -> None:
    """A changed value contradicts the manifest's own digest; a changed form has a line number."""
    content = (bundle / MANIFEST).read_bytes()
    (bundle / MANIFEST).write_bytes(content.replace(b"Sample office", b"Simple office"))
    assert verify_bundle(bundle).defects == (
        Defect(MANIFEST, "does not match the digest at its end"),
    )
    (bundle / MANIFEST).write_bytes(content.replace(b'"status": ', b'"status":  '))
    assert [defect.line for defect in verify_bundle(bundle).defects] == [3]


def test_another_bundle_is_not_the_one_published(tmp_path: Path) -> None:
    """A valid bundle does not verify against the digest of another one."""
    published = write_sample(tmp_path / "published").manifest_sha256
    write_sample(tmp_path / "other", votes=sample_votes(24))
    assert defective(tmp_path / "other") == set()
    assert defective(tmp_path / "other", published) == {MANIFEST}


@pytest.mark.parametrize(
    ("name", "old", "new", "line"),
    [
        (RESULTS_CSV, b"Zebra,", b"Zebus,", 2),
        (RESULTS_JSON, b'"Count": 15', b'"Count": 16', None),
        (RESULTS_JSON, b'"certified"', b'"recount"', None),
        (CANDIDATES, b"cy,Cy", b"dy,Cy", None),
        (CANDIDATES, b"Cy", b"Di", None),
        (LOCATIONS, b"Utah", b"Yuma", None),
        (LOCATIONS, b"Iowa,5", b"Iowa,6", None),
        (LOCATIONS, b"Iowa,5", b"Iowa,05", 2),
        (LOCATIONS, b"Iowa,5\n", b"Iowa,5\r\n", 2),
        (REJECTIONS, b"underage,1", b"underage,2", None),
        (REJECTIONS, b"malformed,2\nunderage,1", b"underage,1\nmalformed,2", None),
    ],
)
def test_a_result_that_contradicts_the_log_is_found(
    name: str, old: bytes, new: bytes, line: int | None, bundle: Path
) -> None:
    """A result that differs from the recount is a defect, even if all digests match it."""
    content = (bundle / name).read_bytes()
    assert old in content
    (bundle / name).write_bytes(content.replace(old, new, 1))
    reseal(bundle)
    defects = verify_bundle(bundle).defects
    assert defects
    assert all("SHA-256" not in defect.what and "bytes" not in defect.what for defect in defects)
    if line is not None:
        assert [(defect.file, defect.line) for defect in defects] == [(name, line)]


VOTES = sample_votes()


@pytest.mark.parametrize(
    "votes",
    [
        pytest.param(VOTES[1:], id="one less"),
        pytest.param([*VOTES, attrs.evolve(VOTES[-1], voter_id="z")], id="one more"),
        pytest.param([VOTES[0], *VOTES], id="one twice"),
        pytest.param([VOTES[1], VOTES[0], *VOTES[2:]], id="out of order"),
        pytest.param([attrs.evolve(VOTES[0], candidate_id="bob"), *VOTES[1:]], id="other choice"),
        pytest.param([attrs.evolve(VOTES[0], candidate_id="eve"), *VOTES[1:]], id="no candidate"),
        pytest.param([attrs.evolve(VOTES[0], location="Iowa"), *VOTES[1:]], id="other location"),
        pytest.param([attrs.evolve(VOTES[0], location="Mars"), *VOTES[1:]], id="no location"),
        pytest.param(
            [
                *VOTES[:-1],
                attrs.evolve(VOTES[-1], coordinates=attrs.evolve(VOTES[-1].coordinates, offset=99)),
            ],
            id="offset not covered",
        ),
        pytest.param(
            [
                *VOTES[:-1],
                attrs.evolve(
                    VOTES[-1], coordinates=attrs.evolve(VOTES[-1].coordinates, partition=3)
                ),
            ],
            id="partition not covered",
        ),
    ],
)
def test_a_log_that_contradicts_the_results_is_found(votes: list[LoggedVote], bundle: Path) -> None:
    """A log that differs from that of the results is a defect, even if all digests match it."""
    with (bundle / VOTE_LOG).open("wb") as file:
        write_votes(file, votes)
    reseal(bundle)
    assert defective(bundle)


def manifest_of(directory: Path) -> Manifest:
    """Return the manifest of a bundle."""
    return decode_manifest((directory / MANIFEST).read_bytes())


@pytest.mark.parametrize(
    "forge",
    [
        lambda m: {"status": ResultsStatus.UNOFFICIAL_COMPLETE},
        lambda m: {"created": m.created + timedelta(seconds=1)},
        lambda m: {"software": "voting-core 9"},
        lambda m: {"election": attrs.evolve(m.election, issuer="Another office")},
        lambda m: {"counts": attrs.evolve(m.counts, votes=26)},
        lambda m: {"counts": attrs.evolve(m.counts, rejections=0)},
        lambda m: {"files": (attrs.evolve(m.files[0], size=1), *m.files[1:])},
        lambda m: {"files": m.files[1:]},
        lambda m: {"files": m.files[::-1]},
        lambda m: {"files": (*m.files, attrs.evolve(m.files[0], name="../secret"))},
        lambda m: {"voters_topic": m.voters_topic[1:]},
        lambda m: {"voters_topic": m.voters_topic[::-1]},
        lambda m: {"voters_topic": (m.voters_topic[0], *m.voters_topic)},
        lambda m: {"voters_topic": first_source(m, votes=12)},
        lambda m: {"voters_topic": first_source(m, rejections=2)},
        lambda m: {"voters_topic": first_source(m, rejections=0, last_offset=12)},
        lambda m: {"voters_topic": first_source(m, last_offset=12)},
        lambda m: {"voters_topic": first_source(m, next_offset=13)},
        lambda m: {"voters_topic": first_source(m, next_offset=None)},
        lambda m: {"votes_topic": m.votes_topic[1:]},
        lambda m: {"votes_topic": m.votes_topic[::-1]},
        lambda m: {
            "votes_topic": (attrs.evolve(m.votes_topic[0], last_offset=-1), *m.votes_topic[1:])
        },
    ],
)
def test_a_manifest_that_contradicts_its_files_is_found(
    forge: Callable[[Manifest], dict[str, Any]], bundle: Path
) -> None:
    """A manifest that contradicts its files is a defect, even if its own digest matches."""
    reseal(bundle, **forge(manifest_of(bundle)))
    assert defective(bundle)


def first_source(manifest: Manifest, **changes: Any) -> tuple[SourcePartition, ...]:
    """Return the partitions with a change to the first: 13 votes, 1 rejection, offsets to 13."""
    first, *others = manifest.voters_topic
    assert (first.votes, first.rejections, first.last_offset, first.next_offset) == (13, 1, 13, 14)
    return (attrs.evolve(first, **changes), *others)


def test_uncertified_results_may_be_ahead_of_what_is_published(tmp_path: Path) -> None:
    """In partial results, the tables may contain decisions that are not published."""
    (tmp_path / "bundle").mkdir()
    partial = attrs.evolve(CANVASS, status=ResultsStatus.UNOFFICIAL_PARTIAL)
    behind = attrs.evolve(coverage_of(20), next_offsets={(TOPIC, 0): 10})
    write_bundle(tmp_path / "bundle", partial, sample_votes(), REJECTED, behind)
    assert defective(tmp_path / "bundle") == set()
    certified = manifest_of(tmp_path / "bundle")
    reseal(tmp_path / "bundle", status=ResultsStatus.CERTIFIED, voters_topic=certified.voters_topic)
    assert MANIFEST in defective(tmp_path / "bundle")
