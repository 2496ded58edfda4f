"""The files of a results bundle: which there are, and writing them."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
from typing import IO

import attrs

from voting_core.exceptions import InputError
from voting_core.operator.results import tables
from voting_core.operator.results.manifest import (
    Coverage,
    FileEntry,
    Manifest,
    build_manifest,
    encode_manifest,
)
from voting_core.operator.results.model import Canvass, LoggedVote, Partition, PartitionCount, Tally
from voting_core.operator.results.nist import results_json
from voting_core.operator.results.vote_log import write_votes

__all__ = [
    "CANDIDATES",
    "FILES",
    "LOCATIONS",
    "LOCATIONS_COLUMNS",
    "MANIFEST",
    "REJECTIONS",
    "REJECTIONS_COLUMNS",
    "VOTE_LOG",
    "Bundle",
    "new_directory",
    "result_files",
    "see_unused",
    "write_bundle",
]

MANIFEST = "manifest.json"
VOTE_LOG = "votes.jsonl.gz"
CANDIDATES = "candidates.csv"
LOCATIONS = "locations.csv"
REJECTIONS = "rejections.csv"
RESULTS_CSV = "results.csv"
RESULTS_JSON = "results.json"
FILES = (CANDIDATES, LOCATIONS, REJECTIONS, RESULTS_CSV, RESULTS_JSON, VOTE_LOG)
"""The files that the manifest lists, in its order."""

LOCATIONS_COLUMNS = ("location", "registered_voters")
REJECTIONS_COLUMNS = ("reason", "records")


@attrs.frozen
class Bundle:
    """A bundle as it was written.

    Attributes:
        manifest: What it holds and covers.
        manifest_sha256: Digest of the manifest's file, in hexadecimal digits.
        tally: The votes in its log.
    """

    manifest: Manifest
    manifest_sha256: str
    tally: Tally = attrs.field(repr=False)


def result_files(canvass: Canvass, tally: Tally) -> dict[str, bytes]:
    """Return the content of every file that is neither the vote log nor the manifest, by name."""
    return {
        CANDIDATES: tables.candidates_csv(canvass.candidates),
        LOCATIONS: tables.counts_csv(LOCATIONS_COLUMNS, canvass.locations(tally).items()),
        REJECTIONS: tables.counts_csv(REJECTIONS_COLUMNS, sorted(canvass.rejections.items())),
        RESULTS_CSV: tables.results_csv(canvass, tally),
        RESULTS_JSON: results_json(canvass, tally),
    }


def write_bundle(
    directory: Path,
    canvass: Canvass,
    votes: Iterable[LoggedVote],
    rejected: Mapping[Partition, PartitionCount],
    coverage: Coverage,
) -> Bundle:
    """Write a bundle's files; memory does not grow with the votes.

    Args:
        directory: An empty directory.
        canvass: What the results say besides the votes.
        votes: In the order of their voters' ids.
        rejected: The rejections by partition of `voters_topic`.
        coverage: How far Kafka says that the count is.
    """
    tally = Tally()

    def write_log(file: IO[bytes]) -> None:
        nonlocal tally
        tally = write_votes(file, votes)

    files = [_write(directory / VOTE_LOG, write_log)]
    for name, content in result_files(canvass, tally).items():
        files.append(_write_content(directory / name, content))
    manifest = build_manifest(canvass, tally, rejected, coverage, files)
    written = _write_content(directory / MANIFEST, encode_manifest(manifest))
    _sync_directory(directory)
    return Bundle(manifest, written.sha256, tally)


def _write_content(path: Path, content: bytes) -> FileEntry:
    def write(file: IO[bytes]) -> None:
        file.write(content)

    return _write(path, write)


def _write(path: Path, write: Callable[[IO[bytes]], None]) -> FileEntry:
    with path.open("xb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    with path.open("rb") as file:
        return FileEntry(path.name, size, hashlib.file_digest(file, "sha256").hexdigest())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def see_unused(directory: Path) -> None:
    """See that a bundle can be written as this directory.

    Raises:
        InputError: It holds something, is no directory, or has no parent directory.
    """
    try:
        if directory.is_dir():
            if any(directory.iterdir()):
                raise InputError(f"{directory} is not empty: a bundle takes a directory of its own")
        elif directory.is_symlink() or directory.exists():
            raise InputError(f"{directory} is no directory")
        elif not directory.parent.is_dir():
            raise InputError(f"{directory.parent} is no directory to write {directory.name} in")
    except OSError as error:
        raise InputError(f"{directory}: {error.strerror}") from error


@contextmanager
def new_directory(directory: Path) -> Iterator[Path]:
    """Make a directory that appears whole, or not at all.

    Yields a hidden sibling of it, which takes its name once everything went well.

    Raises:
        InputError: The directory is in use already, or cannot be written.
    """
    see_unused(directory)
    directory = directory.resolve()
    partial = directory.with_name(f".{directory.name}.{token_hex(4)}.partial")
    try:
        partial.mkdir()
        yield partial
        # An empty directory gives way; anything else in the meantime is an error.
        partial.rename(directory)
        _sync_directory(directory.parent)
    except OSError as error:
        raise InputError(f"cannot write {directory}: {error.strerror}") from error
    finally:
        rmtree(partial, ignore_errors=True)
