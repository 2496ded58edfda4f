"""The files of a results bundle, and writing them."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
from typing import IO

import attrs

from voting_core.exceptions import InputError
from voting_core.operator.coverage import Coverage, Partition
from voting_core.operator.results import tables
from voting_core.operator.results.manifest import (
    FileEntry,
    Manifest,
    build_manifest,
    encode_manifest,
)
from voting_core.operator.results.model import Canvass, LoggedVote, PartitionCount, VoteLogTotals
from voting_core.operator.results.nist import results_json
from voting_core.operator.results.vote_log import write_votes

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
    """A bundle that was written, with the SHA-256 of the manifest's file in hexadecimal."""

    manifest: Manifest
    manifest_sha256: str
    totals: VoteLogTotals = attrs.field(repr=False)


def result_files(canvass: Canvass, totals: VoteLogTotals) -> dict[str, bytes]:
    """Return the content of each file except the vote log and the manifest, by name."""
    return {
        CANDIDATES: tables.candidates_csv(canvass.candidates),
        LOCATIONS: tables.counts_csv(LOCATIONS_COLUMNS, canvass.locations(totals).items()),
        REJECTIONS: tables.counts_csv(REJECTIONS_COLUMNS, sorted(canvass.rejections.items())),
        RESULTS_CSV: tables.results_csv(canvass, totals),
        RESULTS_JSON: results_json(canvass, totals),
    }


def write_bundle(
    directory: Path,
    canvass: Canvass,
    votes: Iterable[LoggedVote],
    rejected: Mapping[Partition, PartitionCount],
    coverage: Coverage,
) -> Bundle:
    """Write a bundle's files into an empty directory.

    The votes come in the order of their voter_ids; memory does not grow with their number.
    """
    with _new_file(directory / VOTE_LOG) as file:
        totals = write_votes(file, votes)
    for name, content in result_files(canvass, totals).items():
        with _new_file(directory / name) as file:
            file.write(content)
    files = [file_entry(directory / name) for name in FILES]
    manifest = build_manifest(canvass, totals, rejected, coverage, files)
    with _new_file(directory / MANIFEST) as file:
        file.write(encode_manifest(manifest))
    _sync_directory(directory)
    return Bundle(manifest, file_entry(directory / MANIFEST).sha256, totals)


@contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    with path.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def file_entry(path: Path) -> FileEntry:
    """Return a file's entry in the manifest."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileEntry(path.name, file.tell(), digest)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_unused(directory: Path) -> None:
    """Check that a bundle can be written as this directory.

    Raises:
        InputError: It is not empty, not a directory, or has no parent directory.
    """
    try:
        if directory.is_dir():
            if any(directory.iterdir()):
                raise InputError(f"{directory} is not empty: a bundle needs an empty directory")
        elif directory.is_symlink() or directory.exists():
            raise InputError(f"{directory} is not a directory")
        elif not directory.parent.is_dir():
            raise InputError(f"{directory.parent} is not a directory to write {directory.name} in")
    except OSError as error:
        raise InputError(f"{directory}: {error.strerror}") from error


@contextmanager
def new_directory(directory: Path) -> Iterator[Path]:
    """Create a directory atomically, with all its files or not at all.

    Yields a hidden sibling of the directory, which is renamed when the block succeeds.

    Raises:
        InputError: The directory is not empty, or cannot be written.
    """
    check_unused(directory)
    directory = directory.resolve()
    partial = directory.with_name(f".{directory.name}.{token_hex(4)}.partial")
    try:
        partial.mkdir()
        yield partial
        # The rename replaces an empty directory; anything else created meanwhile is an error.
        partial.rename(directory)
        _sync_directory(directory.parent)
    except OSError as error:
        raise InputError(f"cannot write {directory}: {error.strerror}") from error
    finally:
        rmtree(partial, ignore_errors=True)
