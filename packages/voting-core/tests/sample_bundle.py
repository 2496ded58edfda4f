"""A small election to write bundles of."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs

from voting_core.models import Candidate, Coordinates
from voting_core.operator.results.bundle import FILES, MANIFEST, Bundle, write_bundle
from voting_core.operator.results.manifest import (
    Coverage,
    FileEntry,
    Manifest,
    PublishedPartition,
    decode_manifest,
    encode_manifest,
)
from voting_core.operator.results.model import (
    Canvass,
    Election,
    LoggedVote,
    PartitionCount,
    ResultsStatus,
    Tally,
)

ELECTION = Election(
    name="Election of the sample",
    contest="SAMPLE PRESIDENT",
    type="general",
    start_date=date(2020, 11, 3),
    end_date=date(2020, 11, 4),
    issuer="Sample office",
    issuer_abbreviation="SO",
    jurisdiction="Everywhere",
    jurisdiction_type="country",
    location_type="state",
    is_test=True,
)
CANVASS = Canvass(
    election=ELECTION,
    status=ResultsStatus.CERTIFIED,
    created=datetime(2020, 11, 5, 12, 0, 1, tzinfo=UTC),
    software="voting-core 0.1.0",
    candidates=(
        Candidate("ada", 'Ada, the "First"', "Zebra"),
        Candidate("bob", "Bob Ünal", "Ant"),
        Candidate("cy", "Cy"),
        Candidate("nil", "Nobody's Choice", "Ant"),
    ),
    registered={"Iowa": 5, "Ohio": 40, "Utah": 3},
    rejections={"malformed": 2, "underage": 1},
)
TOPIC = "YXNkZmdoamtsw7ZxdWVyd"
REJECTED = {(TOPIC, 0): PartitionCount(1, 13), (TOPIC, 2): PartitionCount(2, 1)}


def sample_votes(count: int = 25) -> list[LoggedVote]:
    """Return votes of voters 000, 001, …, on the offsets 0, 1, … of two partitions in turn."""
    start = datetime(2020, 11, 3, 8, 0, 0, 250_000, UTC)
    return [
        LoggedVote(
            f"voter-{n:03}",
            ("ada", "ada", "bob", "ada", "cy")[n % 5],
            ("Ohio", "Iowa", "Ohio", "Ålesund")[n % 4],
            start + timedelta(minutes=n),
            Coordinates(TOPIC, n % 2, n // 2),
        )
        for n in range(count)
    ]


def tally_of(votes: Iterable[LoggedVote]) -> Tally:
    """Return the votes added up."""
    tally = Tally()
    for vote in votes:
        tally.add(vote)
    return tally


def coverage_of(votes: int) -> Coverage:
    """Return what Kafka says when this many votes of the sample are counted."""
    published = (
        PublishedPartition(0, votes // 3, 44),
        PublishedPartition(1, votes - votes // 3, 9),
    )
    return Coverage({(TOPIC, 0): 14, (TOPIC, 1): 12, (TOPIC, 2): 3}, "dm90ZXM", published)


def write_sample(
    directory: Path, canvass: Canvass = CANVASS, votes: Iterable[LoggedVote] | None = None
) -> Bundle:
    """Write a bundle of the sample into a new directory."""
    directory.mkdir()
    votes = sample_votes() if votes is None else list(votes)
    return write_bundle(directory, canvass, votes, REJECTED, coverage_of(len(votes)))


def reseal(directory: Path, **changes: Any) -> None:
    """Do what a forger would: fit the manifest to the files, and change it otherwise."""
    manifest: Manifest = decode_manifest((directory / MANIFEST).read_bytes())
    files = []
    for name in FILES:
        content = (directory / name).read_bytes()
        files.append(FileEntry(name, len(content), hashlib.sha256(content).hexdigest()))
    forgery: dict[str, Any] = {"files": tuple(files), **changes}
    forged = attrs.evolve(manifest, **forgery)
    (directory / MANIFEST).write_bytes(encode_manifest(forged))
