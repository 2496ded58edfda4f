"""The vote log."""

import gzip
import io
import json
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_bundle import sample_votes, totals_of

from voting_core.models import Coordinates
from voting_core.operator.results.exceptions import ContentError
from voting_core.operator.results.model import LoggedVote
from voting_core.operator.results.vote_log import (
    decode_vote,
    encode_logged_vote,
    read_votes,
    write_votes,
)

VOTE = sample_votes(1)[0]
LINE = encode_logged_vote(VOTE)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def log_of(votes: list[LoggedVote]) -> bytes:
    """Return the content of a log."""
    file = io.BytesIO()
    write_votes(file, votes)
    return file.getvalue()


def test_a_log_is_read_as_it_was_written() -> None:
    """Reading a log returns the votes that were written, and writing it returns their totals."""
    votes, file = sample_votes(), io.BytesIO()
    totals = write_votes(file, votes)
    file.seek(0)
    assert list(read_votes(file)) == votes
    assert totals == totals_of(votes)


@given(
    st.builds(
        LoggedVote,
        texts,
        texts,
        texts,
        st.integers(0, 10**13).map(
            lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
        ),
        st.builds(Coordinates, texts, st.integers(0, 2**31), st.integers(0, 2**63 - 1)),
    )
)
def test_any_vote_is_one_line(vote: LoggedVote) -> None:
    """A vote with any id and location is one line, and is decoded as it was encoded."""
    line = encode_logged_vote(vote)
    assert line.count(b"\n") == 1
    assert decode_vote(line) == vote


def test_the_same_votes_give_the_same_bytes() -> None:
    """The header contains neither a time nor a name, and the time zone has no effect."""
    elsewhere = timezone(timedelta(hours=5))
    moved = [
        attrs.evolve(vote, voting_time=vote.voting_time.astimezone(elsewhere))
        for vote in sample_votes()
    ]
    log = log_of(moved)
    assert log == log_of(sample_votes())
    assert log[3] == 0
    assert log[4:8] == bytes(4)


def test_the_order_is_that_of_utf8_bytes() -> None:
    """A log in the order of PostgreSQL's collation "C" is valid, including supplementary planes."""
    names = sorted(["a", "B", "é", "\uffee", "\U0001f5f3", "Z", "ab"], key=lambda s: s.encode())
    votes = [attrs.evolve(VOTE, voter_id=name) for name in names]
    assert list(read_votes(io.BytesIO(log_of(votes)))) == votes


@pytest.mark.parametrize(("second", "says"), [("voter-000", "second time"), ("a", "after")])
def test_voters_must_be_unique_and_in_order(second: str, says: str) -> None:
    """A repeated voter, or one out of order, is an error with the line's number."""
    log = log_of([VOTE, attrs.evolve(VOTE, voter_id=second)])
    with pytest.raises(ContentError, match=says) as caught:
        list(read_votes(io.BytesIO(log)))
    assert caught.value.line == 2


def changed(**changes: object) -> bytes:
    """Return the line with changed values."""
    return json.dumps({**json.loads(LINE), **changes}, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize(
    "line",
    [
        LINE[:-1],
        LINE.replace(b":", b": ", 1),
        LINE + b"\n",
        b"[]\n",
        b"{\n",
        b"\xff\n",
        changed(vote=2),
        changed(voter_id=5),
        changed(candidate_id=None),
        changed(source_offset=-1),
        changed(source_offset=True),
        changed(source_offset=1.0),
        changed(source_partition="0"),
        changed(voting_time="2020-11-03T08:00:00.250"),
        changed(voting_time="2020-11-03T08:00:00.2500Z"),
        changed(voting_time="2020-11-03T09:00:00.250+01:00"),
        changed(voting_time="yesterday"),
    ],
)
def test_a_vote_has_only_one_valid_form(line: bytes) -> None:
    """A line in any form other than the canonical one is refused."""
    assert changed() == LINE
    with pytest.raises(ContentError):
        decode_vote(line)


def test_a_damaged_log_is_an_error() -> None:
    """A truncated or changed log is an error, not a shorter list."""
    log = log_of(sample_votes())
    middle = len(log) // 2
    for damaged in (log[:-4], log[:middle], log[:middle] + b"\0\0" + log[middle + 2 :], b"x" + log):
        with pytest.raises(ContentError):
            list(read_votes(io.BytesIO(damaged)))


def test_an_endless_line_is_refused_in_bounded_memory() -> None:
    """A log that decompresses to one very long line is refused in bounded memory."""
    log = gzip.compress(bytes(64 * 1024 * 1024))
    tracemalloc.start()
    try:
        with pytest.raises(ContentError):
            list(read_votes(io.BytesIO(log)))
        assert tracemalloc.get_traced_memory()[1] < 40 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_votes(tmp_path: Path) -> None:
    """Three times as many votes are written and read in the same memory."""

    def peak(count: int) -> int:
        votes = (attrs.evolve(VOTE, voter_id=f"{n:09}") for n in range(count))
        tracemalloc.start()
        try:
            with (tmp_path / str(count)).open("wb") as file:
                write_votes(file, votes)
            with (tmp_path / str(count)).open("rb") as file:
                assert sum(1 for _ in read_votes(file)) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(24_000) < 1.3 * peak(8_000)
