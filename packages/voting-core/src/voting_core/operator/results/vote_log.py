"""The vote log: every vote that counts, as one line of JSON, in the order of the voter_ids.

The order is that of the ids' UTF-8 bytes (PostgreSQL's collation "C"), and a vote has only one
valid line. A log therefore has only one valid form, and two votes of one voter are adjacent. It is
compressed with gzip (RFC 1952) without a time or a name in the header, so that the same votes give
the same bytes.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import count, islice
from typing import IO

import msgspec

from voting_core.exceptions import SerializationError
from voting_core.models import Coordinates
from voting_core.operator.results.exceptions import ContentError
from voting_core.operator.results.model import LoggedVote, VoteLogTotals
from voting_core.serialization import decode_json, iso_utc

COMPRESSION = 6
CHUNK_VOTES = 5_000
MAX_LINE_BYTES = 8 * 1024 * 1024
"""More than the longest vote that `voters_topic` allows, with every character escaped."""

_FIELDS = {
    "voter_id": str,
    "candidate_id": str,
    "location": str,
    "voting_time": str,
    "source_topic_id": str,
    "source_partition": int,
    "source_offset": int,
}


def encode_logged_vote(vote: LoggedVote) -> bytes:
    """Return a vote's line, including the line feed."""
    source = vote.coordinates
    line = msgspec.json.encode(
        {
            "voter_id": vote.voter_id,
            "candidate_id": vote.candidate_id,
            "location": vote.location,
            "voting_time": iso_utc(vote.voting_time),
            "source_topic_id": source.topic_id,
            "source_partition": source.partition,
            "source_offset": source.offset,
        }
    )
    return line + b"\n"


def decode_vote(line: bytes) -> LoggedVote:
    """Return the vote that a line holds.

    Raises:
        ContentError: The line is not in the form of `encode_logged_vote`.
    """
    try:
        found = decode_json(line)
    except SerializationError as error:
        raise ContentError(f"is {error}") from error
    if type(found) is not dict or list(found) != list(_FIELDS):
        raise ContentError(f"is not an object of {', '.join(_FIELDS)}")
    for name, kind in _FIELDS.items():
        if type(found[name]) is not kind:
            raise ContentError(f"has {name} {found[name]!r:.80}")
    if found["source_partition"] < 0 or found["source_offset"] < 0:
        raise ContentError("has a negative partition or offset")
    try:
        time = datetime.fromisoformat(found["voting_time"])
    except ValueError:
        raise ContentError(f"has voting_time {found['voting_time']!r:.80}") from None
    vote = LoggedVote(
        found["voter_id"],
        found["candidate_id"],
        found["location"],
        time,
        Coordinates(found["source_topic_id"], found["source_partition"], found["source_offset"]),
    )
    if time.tzinfo is None or encode_logged_vote(vote) != line:
        raise ContentError("is not written in the canonical way")
    return vote


def write_votes(file: IO[bytes], votes: Iterable[LoggedVote]) -> VoteLogTotals:
    """Write a log of votes, given in the order of their voter_ids, and return its totals."""
    totals = VoteLogTotals()
    remaining = iter(votes)
    with gzip.GzipFile(
        filename="", mode="wb", compresslevel=COMPRESSION, fileobj=file, mtime=0
    ) as log:
        while chunk := list(islice(remaining, CHUNK_VOTES)):
            for vote in chunk:
                totals.add(vote)
            log.write(b"".join(map(encode_logged_vote, chunk)))
    return totals


def read_votes(file: IO[bytes]) -> Iterator[LoggedVote]:
    """Yield the votes of a log, and check that each voter has only one.

    Raises:
        ContentError: The log is damaged, a line is invalid, or the voter_ids are not ascending.
    """
    before: str | None = None
    with gzip.GzipFile(mode="rb", fileobj=file) as log:
        for number in count(1):
            try:
                line = log.readline(MAX_LINE_BYTES)
            except (OSError, EOFError, zlib.error) as error:
                raise ContentError(f"cannot be decompressed: {error}", number) from error
            if not line:
                return
            if len(line) == MAX_LINE_BYTES:
                raise ContentError(f"is longer than {MAX_LINE_BYTES:,} bytes", number)
            try:
                vote = decode_vote(line)
            except ContentError as error:
                raise ContentError(error.what, number) from error
            if before is not None and vote.voter_id <= before:
                how = "a second time" if vote.voter_id == before else f"after {before!r:.80}"
                raise ContentError(f"has voter {vote.voter_id!r:.80} {how}", number)
            before = vote.voter_id
            yield vote
