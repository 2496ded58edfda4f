"""Checking a results bundle with nothing but its files.

Every file is hashed; the vote log is recounted; from the recount every other file is drawn up
anew and must be the same byte for byte. Memory grows with candidates and locations, not with votes.
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
    result_files,
)
from voting_core.operator.results.difference import first_difference
from voting_core.operator.results.exceptions import ContentError
from voting_core.operator.results.manifest import (
    FileEntry,
    Manifest,
    coverage_faults,
    decode_manifest,
)
from voting_core.operator.results.model import Canvass, Tally
from voting_core.operator.results.tables import read_candidates, read_counts
from voting_core.operator.results.vote_log import read_votes

__all__ = ["Fault", "Verdict", "verify_bundle"]

MAX_FILE_BYTES = 512 * 1024 * 1024
"""Longest file read at once; the vote log is not among them."""


@attrs.frozen
class Fault:
    """Something that is wrong with a bundle.

    Attributes:
        file: Name of the file to blame.
        what: What is wrong.
        line: Where, counted from 1 (in the vote log: of what it decompresses to), or None.
    """

    file: str
    what: str
    line: int | None = None

    def __str__(self) -> str:
        name = os.fsencode(self.file).decode(errors="backslashreplace")
        return f"{name}{'' if self.line is None else f', line {self.line:,}'}: {self.what}"


@attrs.frozen
class Verdict:
    """What came of checking a bundle.

    Attributes:
        faults: All that was found; none means that the bundle is sound.
        manifest: What the bundle says of itself, if that can be read.
        manifest_sha256: Digest of the manifest's file, if there is one.
    """

    faults: tuple[Fault, ...]
    manifest: Manifest | None = None
    manifest_sha256: str | None = None


def verify_bundle(directory: Path, manifest_sha256: str | None = None) -> Verdict:
    """Check a bundle.

    Args:
        directory: Where it is.
        manifest_sha256: What the manifest's SHA-256 must be, in hexadecimal digits, if that was
            published. Without it a bundle that was made up as a whole is not found out.
    """
    faults = list(_listing_faults(directory))
    unreadable = {fault.file for fault in faults}
    if MANIFEST in unreadable:
        return Verdict(tuple(faults))
    try:
        content = _read(directory / MANIFEST)
    except ContentError as error:
        return Verdict((*faults, Fault(MANIFEST, error.what)))
    digest = hashlib.sha256(content).hexdigest()
    if manifest_sha256 is not None and digest != manifest_sha256.strip().lower():
        faults.append(Fault(MANIFEST, f"has SHA-256 {digest}, expected {manifest_sha256.lower()}"))
    try:
        manifest = decode_manifest(content)
    except ContentError as error:
        return Verdict((*faults, Fault(MANIFEST, error.what, error.line)), None, digest)
    if tuple(entry.name for entry in manifest.files) != FILES:
        faults.append(Fault(MANIFEST, f"does not list exactly {', '.join(FILES)}"))
    else:
        sound = [entry for entry in manifest.files if entry.name not in unreadable]
        faults += _digest_faults(directory, sound)
        if not unreadable.intersection(FILES):
            faults += _content_faults(directory, manifest)
    return Verdict(tuple(faults), manifest, digest)


def _listing_faults(directory: Path) -> Iterator[Fault]:
    """Yield what is missing, too much, or no plain file; none of these is opened later."""
    with os.scandir(directory) as entries:
        found = {entry.name: entry for entry in entries}
    for name in (*FILES, MANIFEST):
        if name not in found:
            yield Fault(name, "is missing")
    for name in sorted(found):
        if found[name].is_symlink():
            yield Fault(name, "is a symbolic link")
        elif not found[name].is_file(follow_symlinks=False):
            yield Fault(name, "is no file")
        elif name not in FILES and name != MANIFEST:
            yield Fault(name, "does not belong to the bundle")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ContentError(f"cannot be read: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise ContentError(f"is longer than {MAX_FILE_BYTES:,} bytes")
    return content


def _digest_faults(directory: Path, entries: Iterable[FileEntry]) -> Iterator[Fault]:
    for entry in entries:
        try:
            with (directory / entry.name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
        except OSError as error:
            yield Fault(entry.name, f"cannot be read: {error.strerror}")
            continue
        if size != entry.size:
            yield Fault(entry.name, f"has {size:,} bytes, the manifest's entry says {entry.size:,}")
        elif digest != entry.sha256:
            yield Fault(
                entry.name, f"has SHA-256 {digest}, the manifest's entry says {entry.sha256}"
            )


def _content_faults(directory: Path, manifest: Manifest) -> Iterator[Fault]:
    """Recount, and yield what the files say otherwise."""
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
        tally = _recount(directory / VOTE_LOG, {c.candidate_id for c in candidates})
    except ContentError as error:
        yield Fault(name, error.what, error.line)
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
    yield from _difference_faults(contents, result_files(canvass, tally))
    for what in coverage_faults(manifest, canvass, tally):
        yield Fault(MANIFEST, what)


def _recount(path: Path, candidate_ids: set[str]) -> Tally:
    tally = Tally()
    try:
        with path.open("rb") as file:
            for number, vote in enumerate(read_votes(file), start=1):
                if vote.candidate_id not in candidate_ids:
                    raise ContentError(
                        f"is a vote for {vote.candidate_id!r:.80}, who is no candidate", number
                    )
                tally.add(vote)
    except OSError as error:
        raise ContentError(f"cannot be read: {error.strerror}") from error
    return tally


def _difference_faults(
    found: Mapping[str, bytes], recounted: Mapping[str, bytes]
) -> Iterator[Fault]:
    for name, expected in recounted.items():
        line = first_difference(found[name], expected)
        if line is not None:
            here, there = _line(found[name], line), _line(expected, line)
            yield Fault(name, f"holds {here!r:.120}, the recount gives {there!r:.120}", line)


def _line(content: bytes, number: int) -> str:
    lines = content.split(b"\n")
    return lines[number - 1].decode(errors="backslashreplace") if number <= len(lines) else ""
