"""The manifest: what a bundle holds and covers, with a digest of every file and of itself.

Its file has one form only: JSON exactly as `encode_manifest` writes it. The last field is the
SHA-256 of the same text without that field, so that a manifest shows damage by itself; against
somebody who writes a whole bundle anew only the manifest's own digest helps, published elsewhere.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs
import cattrs
import orjson
from cattrs.preconf.orjson import make_converter

from voting_core.operator.results.difference import first_difference
from voting_core.operator.results.exceptions import ContentError
from voting_core.operator.results.model import (
    Canvass,
    Election,
    Partition,
    PartitionCount,
    ResultsStatus,
    Tally,
)

__all__ = [
    "FORMAT",
    "Counts",
    "Coverage",
    "FileEntry",
    "Manifest",
    "PublishedPartition",
    "SourcePartition",
    "build_manifest",
    "coverage_faults",
    "decode_manifest",
    "encode_manifest",
]

FORMAT = "voting-results-bundle/1"
"""Another layout of any file of the bundle gets another number."""

_FORM = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
_converter = make_converter(detailed_validation=True)


@attrs.frozen
class FileEntry:
    """A file of the bundle; its size in bytes, its SHA-256 in hexadecimal digits."""

    name: str
    size: int
    sha256: str


@attrs.frozen
class Counts:
    """How much the bundle covers."""

    votes: int
    rejections: int
    candidates: int
    locations: int


@attrs.frozen
class SourcePartition:
    """What became of the records of one partition of `voters_topic`.

    Attributes:
        topic_id: Id of the topic.
        partition: Its number.
        votes: Records that count.
        rejections: Records that do not.
        last_offset: Offset of the last of them; None without any.
        next_offset: First offset that `voting_progress` did not cover; None without an entry.
    """

    topic_id: str
    partition: int
    votes: int
    rejections: int
    last_offset: int | None
    next_offset: int | None


@attrs.frozen
class PublishedPartition:
    """What the aggregates had counted of one partition of `votes_topic`."""

    partition: int
    votes: int
    last_offset: int


@attrs.frozen
class Coverage:
    """How far Kafka says that the count is.

    Attributes:
        next_offsets: First offset of each partition of `voters_topic` that is not decided and
            published yet.
        votes_topic_id: Id of `votes_topic`.
        published: What the aggregates had counted of it, by partition.
    """

    next_offsets: Mapping[Partition, int]
    votes_topic_id: str
    published: tuple[PublishedPartition, ...]


@attrs.frozen(kw_only=True)
class Manifest:
    """What a bundle holds and covers.

    Attributes:
        format: Layout of the bundle.
        status: How final the results are.
        created: When they were drawn up, UTC.
        software: Name and version of the program that did it.
        election: What was voted on.
        counts: How much the bundle covers.
        voters_topic: The records decided, by partition.
        votes_topic_id: Id of the topic that the aggregates count.
        votes_topic: What they had counted of it, by partition.
        files: All files but this, in the order of their names.
    """

    format: str
    status: ResultsStatus
    created: datetime
    software: str
    election: Election
    counts: Counts
    voters_topic: tuple[SourcePartition, ...]
    votes_topic_id: str
    votes_topic: tuple[PublishedPartition, ...]
    files: tuple[FileEntry, ...]


def build_manifest(
    canvass: Canvass,
    tally: Tally,
    rejected: Mapping[Partition, PartitionCount],
    coverage: Coverage,
    files: Iterable[FileEntry],
) -> Manifest:
    """Put a manifest together.

    Args:
        canvass: What the results say besides the votes.
        tally: The votes.
        rejected: The rejections by partition of `voters_topic`.
        coverage: How far Kafka says that the count is.
        files: The files written.
    """
    none = PartitionCount(0, -1)
    sources = []
    for partition in sorted({*tally.by_partition, *rejected, *coverage.next_offsets}):
        votes = tally.by_partition.get(partition, none)
        rejections = rejected.get(partition, none)
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
        counts=_counts(canvass, tally),
        voters_topic=tuple(sources),
        votes_topic_id=coverage.votes_topic_id,
        votes_topic=tuple(sorted(coverage.published, key=lambda each: each.partition)),
        files=tuple(sorted(files, key=lambda file: file.name)),
    )


def _counts(canvass: Canvass, tally: Tally) -> Counts:
    return Counts(
        votes=tally.votes,
        rejections=sum(canvass.rejections.values()),
        candidates=len(canvass.candidates),
        locations=len(canvass.locations(tally)),
    )


def _dump(value: object) -> bytes:
    return orjson.dumps(value, option=_FORM)


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest's file."""
    content = _converter.unstructure(manifest)
    digest = hashlib.sha256(_dump(content)).hexdigest()
    return _dump({**content, "content_sha256": digest})


def decode_manifest(content: bytes) -> Manifest:
    """Read a manifest's file.

    Raises:
        ContentError: It is not one, or not one byte for byte as `encode_manifest` writes it.
    """
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ContentError(f"is not JSON: {error}") from error
    if type(found) is not dict:
        raise ContentError("is no JSON object")
    if found.get("format") != FORMAT:
        raise ContentError(f"has format {found.get('format')!r:.80}, this program reads {FORMAT!r}")
    try:
        manifest = _converter.structure(found, Manifest)
    except cattrs.BaseValidationError as error:
        raise ContentError(f"is no manifest: {cattrs.transform_error(error)[0]:.200}") from error
    again = encode_manifest(manifest)
    line = first_difference(content, again)
    if line is not None and line == again.count(b"\n") - 1:
        raise ContentError("does not match the digest at its end")
    if line is not None:
        raise ContentError("is not written in the canonical way", line)
    return manifest


def coverage_faults(manifest: Manifest, canvass: Canvass, tally: Tally) -> Iterable[str]:
    """Yield what a manifest says otherwise than the files that it covers do."""
    if manifest.counts != (counts := _counts(canvass, tally)):
        yield f"has the counts {manifest.counts}, its files give {counts}"
    sources: dict[Partition, SourcePartition] = {
        (source.topic_id, source.partition): source for source in manifest.voters_topic
    }
    yield from _order_faults(
        "voters_topic", [(source.topic_id, source.partition) for source in manifest.voters_topic]
    )
    for partition in sorted(sources.keys() | tally.by_partition.keys()):
        source = sources.get(partition)
        if source is None:
            yield f"lacks partition {partition} of voters_topic"
            continue
        votes = tally.by_partition.get(partition, PartitionCount(0, -1))
        for what in _source_faults(manifest.status, source, votes):
            yield f"partition {partition} of voters_topic: {what}"
    rejections = sum(source.rejections for source in sources.values())
    if rejections != counts.rejections:
        yield f"has {rejections:,} rejections by partition, {counts.rejections:,} by reason"
    published = manifest.votes_topic
    yield from _order_faults("votes_topic", [each.partition for each in published])
    if any(min(each.partition, each.votes, each.last_offset) < 0 for each in published):
        yield "has a negative number in votes_topic"
    tallied = sum(each.votes for each in published)
    if manifest.status.is_complete and tallied != counts.votes:
        yield f"has {tallied:,} votes in votes_topic, the vote log has {counts.votes:,}"


def _order_faults(topic: str, partitions: Sequence[Any]) -> Iterable[str]:
    if list(partitions) != sorted(set(partitions)):
        yield f"has the partitions of {topic} out of order"


def _source_faults(
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
