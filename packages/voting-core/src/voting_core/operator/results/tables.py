"""The tables of a bundle: CSV by RFC 4180, but in UTF-8 with line feeds, and with a header."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

from voting_core.models import Candidate
from voting_core.operator.results.exceptions import ContentError
from voting_core.operator.results.model import Canvass, VoteLogTotals

RESULTS_COLUMNS = (
    "year",
    "state",
    "county_name",
    "county_fips",
    "office",
    "candidate",
    "party",
    "candidatevotes",
    "totalvotes",
)
CANDIDATES_COLUMNS = ("candidate_id", "candidate_name", "party_affiliation")

T = TypeVar("T")


def _encode(columns: Sequence[str], rows: Iterable[Sequence[str | int]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def _decode(content: bytes, columns: Sequence[str], read: Callable[[list[str]], T]) -> list[T]:
    try:
        reader = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ContentError("is not UTF-8", line) from error
    rows: list[T] = []
    try:
        if next(reader, None) != list(columns):
            raise ContentError(f"is not the header {','.join(columns)}", 1)
        for fields in reader:
            if len(fields) != len(columns):
                raise ContentError(f"does not have {len(columns)} fields", reader.line_num)
            try:
                rows.append(read(fields))
            except ValueError:
                raise ContentError("has a value that is not a number", reader.line_num) from None
    except csv.Error as error:
        raise ContentError(f"is not CSV: {error}", reader.line_num) from error
    return rows


def results_csv(canvass: Canvass, totals: VoteLogTotals) -> bytes:
    """Return the results in the columns of a results file, which `voting-producer` can replay.

    There is one row per candidate and location, also without votes; county columns are empty.
    """
    election = canvass.election
    rows: list[Sequence[str | int]] = []
    for location in canvass.locations(totals):
        votes = [totals.by_location[location, c.candidate_id] for c in canvass.candidates]
        for candidate, count in zip(canvass.candidates, votes, strict=True):
            rows.append(
                (
                    *(election.start_date.year, location, "", "", election.contest),
                    *(candidate.candidate_name, candidate.party_affiliation, count, sum(votes)),
                )
            )
    return _encode(RESULTS_COLUMNS, rows)


def candidates_csv(candidates: Iterable[Candidate]) -> bytes:
    """Return the candidates' ids, names and parties."""
    return _encode(
        CANDIDATES_COLUMNS,
        [(c.candidate_id, c.candidate_name, c.party_affiliation) for c in candidates],
    )


def read_candidates(content: bytes) -> tuple[Candidate, ...]:
    """Return the candidates in the content of `candidates_csv`.

    Raises:
        ContentError: The content is invalid, or the ids are not in ascending order.
    """
    found = _decode(content, CANDIDATES_COLUMNS, lambda fields: Candidate(*fields))
    _check_order([candidate.candidate_id for candidate in found])
    return tuple(found)


def counts_csv(columns: tuple[str, str], counts: Iterable[tuple[str, int]]) -> bytes:
    """Return a table of names and numbers."""
    return _encode(columns, counts)


def read_counts(content: bytes, columns: tuple[str, str]) -> dict[str, int]:
    """Return the numbers by name in the content of `counts_csv`.

    Raises:
        ContentError: The content is invalid, or the names are not in ascending order.
    """
    found = _decode(content, columns, lambda fields: (fields[0], int(fields[1])))
    _check_order([name for name, _ in found])
    for name, count in found:
        if count < 0:
            raise ContentError(f"gives {name!r:.80} a negative number")
    return dict(found)


def _check_order(names: Sequence[str]) -> None:
    for before, name in pairwise(names):
        if name <= before:
            raise ContentError(f"has {name!r:.80} behind {before!r:.80}")
