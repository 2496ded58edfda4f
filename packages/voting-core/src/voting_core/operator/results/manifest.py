"""The manifest: the contents and the coverage of a bundle, with a digest of every file.

The only valid form of a manifest is the JSON that `encode_manifest` returns. Its last field is the
SHA-256 of the same text without that field, which detects damage. Only the digest of the whole
file, published elsewhere, detects a forged bundle.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs
import msgspec

from voting_core.exceptions import SerializationError
from voting_core.operator.coverage import CountedPartition, Coverage, Partition
from voting_core.operator.results.canonical import first_difference
from voting_core.operator.results.exceptions import ContentError
from voting_core.operator.results.model import (
    NO_RECORDS,
    Canvass,
    Election,
    PartitionCount,
    ResultsStatus,
    VoteLogTotals,
)
from voting_core.serialization import decode_json, structure

FORMAT = "voting-results-bundle/1"
"""The version changes with the layout of any file of the bundle."""


@attrs.frozen
class FileEntry:
    """A file of the bundle: its size in bytes, its SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


@attrs.frozen
class Counts:
    """The numbers of items in the bundle."""

    votes: int
    rejections: int
    candidates: int
    locations: int


@attrs.frozen
class SourcePartition:
    """The decisions on the records of one partition of `voters_topic`.

    Attributes:
        last_offset: Highest decided offset; None without decisions.
        next_offset: Offset of the checkpoint; None without a checkpoint.
    """

    topic_id: str
    partition: int
    votes: int
    rejections: int
    last_offset: int | None
    next_offset: int | None


@attrs.frozen(kw_only=True)
class Manifest:
    """The contents and the coverage of a bundle.

    Attributes:
        created: Time of creation, UTC.
        software: Name and version of the program.
        voters_topic: The decisions by partition.
        votes_topic_id: Id of the topic that the aggregates count.
        votes_topic: The records that the aggregates count, by partition.
        files: All other files, in the order of their names.
    """

    format: str
    status: ResultsStatus
    created: datetime
    software: str
    election: Election
    counts: Counts
    voters_topic: tuple[SourcePartition, ...]
    votes_topic_id: str
    votes_topic: tuple[CountedPartition, ...]
    files: tuple[FileEntry, ...]


def build_manifest(
    canvass: Canvass,
    totals: VoteLogTotals,
    rejected: Mapping[Partition, PartitionCount],
    coverage: Coverage,
    files: Iterable[FileEntry],
) -> Manifest:
    """Return the manifest of a bundle; `rejected` is by partition of `voters_topic`."""
    sources = []
    for partition in sorted({*totals.by_partition, *rejected, *coverage.next_offsets}):
        votes = totals.by_partition.get(partition, NO_RECORDS)
        rejections = rejected.get(partition, NO_RECORDS)
        last = max(votes.last_offset, rejections.last_offset)
        sources.append(
            SourcePartition(
                *partition,
                votes.records,
                rejections.records,
                None if last < 0 else last,
                coverage.next_offsets.get(partition),
            )
        )
    return Manifest(
        format=FORMAT,
        status=canvass.status,
        created=canvass.created,
        software=canvass.software,
        election=canvass.election,
        counts=_counts(canvass, totals),
        voters_topic=tuple(sources),
        votes_topic_id=coverage.votes_topic_id,
        votes_topic=coverage.counted,
        files=tuple(sorted(files, key=lambda file: file.name)),
    )


def _counts(canvass: Canvass, totals: VoteLogTotals) -> Counts:
    return Counts(
        votes=totals.votes,
        rejections=sum(canvass.rejections.values()),
        candidates=len(canvass.candidates),
        locations=len(canvass.locations(totals)),
    )


def _dump(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value)) + b"\n"


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the content of the manifest's file."""
    # msgspec writes the fields of an attrs class in another order.
    content = attrs.asdict(manifest)
    digest = hashlib.sha256(_dump(content)).hexdigest()
    return _dump({**content, "content_sha256": digest})


def decode_manifest(content: bytes) -> Manifest:
    """Return the manifest that a file holds.

    Raises:
        ContentError: The file is not a manifest in the form of `encode_manifest`.
    """
    try:
        found = decode_json(content)
    except SerializationError as error:
        raise ContentError(f"is {error}") from error
    if type(found) is not dict:
        raise ContentError("is not a JSON object")
    if found.get("format") != FORMAT:
        raise ContentError(f"has format {found.get('format')!r:.80}, this program reads {FORMAT!r}")
    try:
        manifest = structure(found, Manifest)
    except SerializationError as error:
        raise ContentError(f"is not a manifest: {error!s:.200}") from error
    again = encode_manifest(manifest)
    line = first_difference(content, again)
    if line is not None and line == again.count(b"\n") - 1:
        raise ContentError("does not match the digest at its end")
    if line is not None:
        raise ContentError("is not written in the canonical way", line)
    return manifest


def coverage_defects(manifest: Manifest, canvass: Canvass, totals: VoteLogTotals) -> Iterable[str]:
    """Yield the contradictions between a manifest and the files that it covers."""
    if manifest.counts != (counts := _counts(canvass, totals)):
        yield f"has the counts {manifest.counts}, its files give {counts}"
    sources: dict[Partition, SourcePartition] = {
        (source.topic_id, source.partition): source for source in manifest.voters_topic
    }
    yield from _order_defects(
        "voters_topic", [(source.topic_id, source.partition) for source in manifest.voters_topic]
    )
    for partition in sorted(sources.keys() | totals.by_partition.keys()):
        source = sources.get(partition)
        if source is None:
            yield f"lacks partition {partition} of voters_topic"
            continue
        votes = totals.by_partition.get(partition, NO_RECORDS)
        for what in _source_defects(manifest.status, source, votes):
            yield f"partition {partition} of voters_topic: {what}"
    rejections = sum(source.rejections for source in sources.values())
    if rejections != counts.rejections:
        yield f"has {rejections:,} rejections by partition, {counts.rejections:,} by reason"
    counted = manifest.votes_topic
    yield from _order_defects("votes_topic", [each.partition for each in counted])
    if any(min(each.partition, each.votes, each.last_offset) < 0 for each in counted):
        yield "has a negative number in votes_topic"
    tallied = sum(each.votes for each in counted)
    if manifest.status.is_complete and tallied != counts.votes:
        yield f"has {tallied:,} votes in votes_topic, the vote log has {counts.votes:,}"


def _order_defects(topic: str, partitions: Sequence[Any]) -> Iterable[str]:
    if list(partitions) != sorted(set(partitions)):
        yield f"has the partitions of {topic} out of order"


def _source_defects(
    status: ResultsStatus, source: SourcePartition, votes: PartitionCount
) -> Iterable[str]:
    last = -1 if source.last_offset is None else source.last_offset
    if source.votes != votes.records:
        yield f"has {source.votes:,} votes, the vote log has {votes.records:,}"
    if source.rejections < 0:
        yield "has a negative number of rejections"
    if last < votes.last_offset or (not source.rejections and last != votes.last_offset):
        yield f"has last offset {last:,}, the vote log has {votes.last_offset:,}"
    if source.votes + source.rejections > last + 1:
        yield f"has more decisions than the {last + 1:,} records up to its last offset"
    if status.is_complete and (source.next_offset is None or source.next_offset <= last):
        yield f"has a decision on offset {last:,}, but only those before {source.next_offset} count"
