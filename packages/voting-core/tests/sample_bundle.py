"""A small election, as a sample for bundles."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs

from voting_core.models import Candidate, Coordinates
from voting_core.operator.coverage import CountedPartition, Coverage
from voting_core.operator.results.bundle import FILES, MANIFEST, Bundle, write_bundle
from voting_core.operator.results.manifest import (
    FileEntry,
    Manifest,
    decode_manifest,
    encode_manifest,
)
from voting_core.operator.results.model import (
    Canvass,
    Election,
    LoggedVote,
    PartitionCount,
    ResultsStatus,
    VoteLogTotals,
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
        Candidate("nil", "None of the Above", "Ant"),
    ),
    registered={"Iowa": 5, "Ohio": 40, "Utah": 3},
    rejections={"malformed": 2, "underage": 1},
)
TOPIC = "YXNkZmdoamtsw7ZxdWVyd"
REJECTED = {(TOPIC, 0): PartitionCount(1, 13), (TOPIC, 2): PartitionCount(2, 1)}


def sample_votes(count: int = 25) -> list[LoggedVote]:
    """Return votes of voters 000, 001, …, at the offsets 0, 1, … of alternating partitions."""
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


def totals_of(votes: Iterable[LoggedVote]) -> VoteLogTotals:
    """Return the totals of votes."""
    totals = VoteLogTotals()
    for vote in votes:
        totals.add(vote)
    return totals


def coverage_of(votes: int) -> Coverage:
    """Return the coverage according to Kafka when a number of the sample's votes is counted."""
    counted = (
        CountedPartition(0, votes // 3, 44),
        CountedPartition(1, votes - votes // 3, 9),
    )
    return Coverage({(TOPIC, 0): 14, (TOPIC, 1): 12, (TOPIC, 2): 3}, "dm90ZXM", counted)


def write_sample(
    directory: Path, canvass: Canvass = CANVASS, votes: Iterable[LoggedVote] | None = None
) -> Bundle:
    """Write a bundle of the sample into a new directory."""
    directory.mkdir()
    votes = sample_votes() if votes is None else list(votes)
    return write_bundle(directory, canvass, votes, REJECTED, coverage_of(len(votes)))


def reseal(directory: Path, **changes: Any) -> None:
    """Forge the manifest: fit it to the files, and change other fields."""
    manifest: Manifest = decode_manifest((directory / MANIFEST).read_bytes())
    files = []
    for name in FILES:
        content = (directory / name).read_bytes()
        files.append(FileEntry(name, len(content), hashlib.sha256(content).hexdigest()))
    forgery: dict[str, Any] = {"files": tuple(files), **changes}
    forged = attrs.evolve(manifest, **forgery)
    (directory / MANIFEST).write_bytes(encode_manifest(forged))
