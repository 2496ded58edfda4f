"""Reading a results file: CSV in the layout of the MIT Election Data and Science Lab.

The whole file is checked before any of it is used. The columns `state`, `candidate` and
`candidatevotes` are required, in any order. `party` is optional, `year` and `office` select rows,
and other columns are ignored.
"""

import csv
import hashlib
import io
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from voting_core.exceptions import InputError

_NEEDED = ("state", "candidate", "candidatevotes")
_SELECTORS = ("year", "office")
_USED = (*_NEEDED, "party", *_SELECTORS)
_COUNT = re.compile(r"[0-9]{1,12}")


@attrs.frozen
class ResultRow:
    """The votes for a candidate in a state, from one row.

    Attributes:
        number: Number of the row in the file, counted from 1 after the header.
    """

    number: int
    state: str
    candidate: str
    votes: int


@attrs.frozen
class ResultsFile:
    """A results file that passed all checks.

    Attributes:
        digest: SHA-256 of the file, 32 bytes.
        rows: The rows of the selected year and office, in the file's order.
        parties: The candidates of these rows, in order of appearance, with the first row's party.
    """

    digest: bytes
    rows: tuple[ResultRow, ...] = attrs.field(repr=False)
    parties: Mapping[str, str]


def read_results(path: Path, *, year: str | None = None, office: str | None = None) -> ResultsFile:
    """Read and check a results file in UTF-8.

    A file with several years or offices requires the year or the office to read.

    Raises:
        InputError: The file is unreadable or invalid; the message names the file, and the row and
            line of an invalid row.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"results file {path}: does not exist") from None
    except IsADirectoryError:
        raise InputError(f"results file {path}: is a folder") from None
    except OSError as error:
        raise InputError(f"results file {path}: {error.strerror}") from error
    try:
        rows, parties = _select(_parse(_decode(content)), {"year": year, "office": office})
    except _InvalidError as problem:
        raise InputError(f"results file {path}: {problem}") from problem
    return ResultsFile(hashlib.sha256(content).digest(), rows, parties)


class _InvalidError(Exception):
    """A problem of the file; the message does not name the file."""


@attrs.frozen
class _ParsedRow:
    row: ResultRow
    party: str
    selectors: Mapping[str, str]


def _decode(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _InvalidError(f"is not UTF-8 (line {line})") from error
    if not text.strip():
        raise _InvalidError("is empty")
    return text


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield every record that is not blank, with the number of its first line."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _InvalidError(f"line {line}: {error}") from error
        if any(field.strip() for field in fields):
            yield line, [field.strip() for field in fields]


def _parse(text: str) -> Iterator[_ParsedRow]:
    lines = _lines(text)
    _, header = next(lines, (0, []))
    columns = [name.lower() for name in header]
    for name in _NEEDED:
        if name not in columns:
            raise _InvalidError(f"lacks the column {name!r}")
    for name in _USED:
        if columns.count(name) > 1:
            raise _InvalidError(f"has the column {name!r} twice")
    indices = {name: columns.index(name) for name in _USED if name in columns}
    number = 0
    for number, (line, fields) in enumerate(lines, start=1):
        where = f"row {number} (line {line})"
        if len(fields) != len(columns):
            raise _InvalidError(f"{where} has {len(fields)} fields, the header has {len(columns)}")
        values = {name: fields[index] for name, index in indices.items()}
        for name in ("state", "candidate"):
            if not values[name]:
                raise _InvalidError(f"{where}: {name} is empty")
        if "\0" in "".join(values.values()):
            raise _InvalidError(f"{where} contains a NUL character")
        if not _COUNT.fullmatch(values["candidatevotes"]):
            raise _InvalidError(
                f"{where}: candidatevotes is {values['candidatevotes']!r}, "
                "expected a whole number of 0 or more"
            )
        yield _ParsedRow(
            # The same few strings recur in every row: one copy of each saves memory.
            ResultRow(
                number,
                sys.intern(values["state"]),
                sys.intern(values["candidate"]),
                int(values["candidatevotes"]),
            ),
            values.get("party", ""),
            {name: values[name] for name in _SELECTORS if name in values},
        )
    if not number:
        raise _InvalidError("has no rows")


def _select(
    parsed: Iterator[_ParsedRow], wanted: Mapping[str, str | None]
) -> tuple[tuple[ResultRow, ...], dict[str, str]]:
    """Return the rows of one year and office, and their candidates; check all rows."""
    found: dict[str, dict[str, None]] = {name: {} for name in _SELECTORS}
    rows: list[ResultRow] = []
    parties: dict[str, str] = {}
    for each in parsed:
        for name, value in each.selectors.items():
            found[name][value] = None
        if all(
            value is None or each.selectors.get(name, "").casefold() == value.strip().casefold()
            for name, value in wanted.items()
        ):
            rows.append(each.row)
            parties.setdefault(each.row.candidate, each.party)
    for name, choice in wanted.items():
        values = ", ".join(sorted(found[name]))
        if choice is not None and not found[name]:
            raise _InvalidError(f"lacks the column {name!r}, by which --{name} selects")
        if choice is None and len(found[name]) > 1:
            raise _InvalidError(f"has several values of {name}, choose with --{name}: {values}")
        if choice is not None and not rows:
            raise _InvalidError(f"has no row that --{name} {choice!r} selects; {name}: {values}")
    return tuple(rows), parties
