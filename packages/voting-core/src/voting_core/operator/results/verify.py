"""Verifying a results bundle from its files alone.

Every file is hashed and the vote log is recounted. The other files are then rebuilt from the
recount and must be byte for byte the same. Memory grows with the number of candidates and
locations, not with the number of votes.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import attrs

from voting_core.operator.results.bundle import (
    CANDIDATES,
    FILES,
    LOCATIONS,
    LOCATIONS_COLUMNS,
    MANIFEST,
    REJECTIONS,
    REJECTIONS_COLUMNS,
    VOTE_LOG,
    file_entry,
    result_files,
)
from voting_core.operator.results.canonical import first_difference
from voting_core.operator.results.exceptions import ContentError
from voting_core.operator.results.manifest import (
    FileEntry,
    Manifest,
    coverage_defects,
    decode_manifest,
)
from voting_core.operator.results.model import Canvass, VoteLogTotals
from voting_core.operator.results.tables import read_candidates, read_counts
from voting_core.operator.results.vote_log import read_votes

MAX_FILE_BYTES = 512 * 1024 * 1024
"""Maximum size of a file that is read as a whole, which the vote log is not."""


@attrs.frozen
class Defect:
    """A defect of a bundle; lines count from 1, in the vote log after decompression."""

    file: str
    what: str
    line: int | None = None

    def __str__(self) -> str:
        name = os.fsencode(self.file).decode(errors="backslashreplace")
        return f"{name}{'' if self.line is None else f', line {self.line:,}'}: {self.what}"


@attrs.frozen
class Verification:
    """The result of verifying a bundle.

    Attributes:
        defects: All defects; a bundle without any is valid.
        manifest: The manifest, if it can be read.
        manifest_sha256: SHA-256 of the manifest's file, if there is one.
    """

    defects: tuple[Defect, ...]
    manifest: Manifest | None = None
    manifest_sha256: str | None = None


def verify_bundle(directory: Path, manifest_sha256: str | None = None) -> Verification:
    """Verify a bundle.

    Without the manifest's published SHA-256 (in hexadecimal), a consistent forgery of the whole
    bundle is not detected.
    """
    defects = list(_listing_defects(directory))
    unreadable = {defect.file for defect in defects}
    if MANIFEST in unreadable:
        return Verification(tuple(defects))
    try:
        content = _read(directory / MANIFEST)
    except ContentError as error:
        return Verification((*defects, Defect(MANIFEST, error.what)))
    digest = hashlib.sha256(content).hexdigest()
    if manifest_sha256 is not None and digest != manifest_sha256.strip().lower():
        expected = manifest_sha256.lower()
        defects.append(Defect(MANIFEST, f"has SHA-256 {digest}, expected {expected}"))
    try:
        manifest = decode_manifest(content)
    except ContentError as error:
        return Verification((*defects, Defect(MANIFEST, error.what, error.line)), None, digest)
    if tuple(entry.name for entry in manifest.files) != FILES:
        defects.append(Defect(MANIFEST, f"does not list exactly {', '.join(FILES)}"))
    else:
        readable = [entry for entry in manifest.files if entry.name not in unreadable]
        defects += _digest_defects(directory, readable)
        if not unreadable.intersection(FILES):
            defects += _content_defects(directory, manifest)
    return Verification(tuple(defects), manifest, digest)


def _listing_defects(directory: Path) -> Iterator[Defect]:
    """Yield missing and additional files, and what is not a regular file, which is not opened."""
    with os.scandir(directory) as entries:
        found = {entry.name: entry for entry in entries}
    for name in (*FILES, MANIFEST):
        if name not in found:
            yield Defect(name, "is missing")
    for name in sorted(found):
        if found[name].is_symlink():
            yield Defect(name, "is a symbolic link")
        elif not found[name].is_file(follow_symlinks=False):
            yield Defect(name, "is not a file")
        elif name not in FILES and name != MANIFEST:
            yield Defect(name, "does not belong to the bundle")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ContentError(f"cannot be read: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise ContentError(f"is longer than {MAX_FILE_BYTES:,} bytes")
    return content


def _digest_defects(directory: Path, entries: Iterable[FileEntry]) -> Iterator[Defect]:
    for entry in entries:
        try:
            found = file_entry(directory / entry.name)
        except OSError as error:
            yield Defect(entry.name, f"cannot be read: {error.strerror}")
            continue
        if found.size != entry.size:
            yield Defect(entry.name, f"has {found.size:,} bytes, the manifest has {entry.size:,}")
        elif found.sha256 != entry.sha256:
            yield Defect(entry.name, f"has SHA-256 {found.sha256}, the manifest has {entry.sha256}")


def _content_defects(directory: Path, manifest: Manifest) -> Iterator[Defect]:
    """Yield the differences between the files and a recount of the vote log."""
    contents: dict[str, bytes] = {}
    name = ""
    try:
        for name in FILES:
            if name != VOTE_LOG:
                contents[name] = _read(directory / name)
        name = CANDIDATES
        candidates = read_candidates(contents[CANDIDATES])
        name = LOCATIONS
        registered = read_counts(contents[LOCATIONS], LOCATIONS_COLUMNS)
        name = REJECTIONS
        rejections = read_counts(contents[REJECTIONS], REJECTIONS_COLUMNS)
        name = VOTE_LOG
        totals = _recount(directory / VOTE_LOG, {c.candidate_id for c in candidates})
    except ContentError as error:
        yield Defect(name, error.what, error.line)
        return
    canvass = Canvass(
        election=manifest.election,
        status=manifest.status,
        created=manifest.created,
        software=manifest.software,
        candidates=candidates,
        registered=registered,
        rejections=rejections,
    )
    yield from _difference_defects(contents, result_files(canvass, totals))
    for what in coverage_defects(manifest, canvass, totals):
        yield Defect(MANIFEST, what)


def _recount(path: Path, candidate_ids: set[str]) -> VoteLogTotals:
    totals = VoteLogTotals()
    try:
        with path.open("rb") as file:
            for number, vote in enumerate(read_votes(file), start=1):
                if vote.candidate_id not in candidate_ids:
                    raise ContentError(
                        f"is a vote for {vote.candidate_id!r:.80}, who is not a candidate", number
                    )
                totals.add(vote)
    except OSError as error:
        raise ContentError(f"cannot be read: {error.strerror}") from error
    return totals


def _difference_defects(
    found: Mapping[str, bytes], recounted: Mapping[str, bytes]
) -> Iterator[Defect]:
    for name, expected in recounted.items():
        line = first_difference(found[name], expected)
        if line is not None:
            here, there = _line(found[name], line), _line(expected, line)
            yield Defect(name, f"holds {here!r:.120}, the recount gives {there!r:.120}", line)


def _line(content: bytes, number: int) -> str:
    lines = content.split(b"\n")
    return lines[number - 1].decode(errors="backslashreplace") if number <= len(lines) else ""
