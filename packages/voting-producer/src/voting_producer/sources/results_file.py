"""Reading a results file: CSV in the layout of the MIT Election Data and Science Lab.

The whole file is read and checked before any of it is used. Needed are the columns `state`,
`candidate` and `candidatevotes`, in any order; `party` is used if there, `year` and `office` to
select; all others are passed over.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from voting_core.exceptions import InputError

__all__ = ["ResultRow", "ResultsFile", "read_results"]

_NEEDED = ("state", "candidate", "candidatevotes")
_SELECTORS = ("year", "office")
_USED = (*_NEEDED, "party", *_SELECTORS)
_COUNT = re.compile(r"[0-9]{1,12}")


@attrs.frozen
class ResultRow:
    """The votes that one row gives to a candidate in a state.

    Attributes:
        number: Which row of the file it is, counted from 1 after the header.
    """

    number: int
    state: str
    candidate: str
    votes: int


@attrs.frozen
class ResultsFile:
    """A results file that was found to be sound.

    Attributes:
        digest: SHA-256 of the file, 32 bytes.
        rows: The rows of the selected year and office, in the file's order.
        parties: Every candidate of these rows, in order of appearance, with the first row's party.
    """

    digest: bytes
    rows: tuple[ResultRow, ...] = attrs.field(repr=False)
    parties: Mapping[str, str]


def read_results(path: Path, *, year: str | None = None, office: str | None = None) -> ResultsFile:
    """Read and check a results file.

    Args:
        path: The file, CSV in UTF-8.
        year: The election's year, needed if the file holds several.
        office: The office voted on, needed if the file holds several.

    Raises:
        InputError: The file cannot be read or used; the message names the file, and the row and
            line if one is to blame.
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
    except _FaultError as fault:
        raise InputError(f"results file {path}: {fault}") from fault
    return ResultsFile(hashlib.sha256(content).digest(), rows, parties)


class _FaultError(Exception):
    """What is wrong with the file, without its name."""


@attrs.frozen
class _Record:
    row: ResultRow
    party: str
    selectors: Mapping[str, str]


def _decode(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _FaultError(f"is not UTF-8 (line {line})") from error
    if not text.strip():
        raise _FaultError("is empty")
    return text


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield every record that is not blank, with the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _FaultError(f"line {line}: {error}") from error
        if any(field.strip() for field in fields):
            yield line, [field.strip() for field in fields]


def _parse(text: str) -> Iterator[_Record]:
    lines = _lines(text)
    _, header = next(lines, (0, []))
    columns = [name.lower() for name in header]
    for name in _NEEDED:
        if name not in columns:
            raise _FaultError(f"lacks the column {name!r}")
    for name in _USED:
        if columns.count(name) > 1:
            raise _FaultError(f"has the column {name!r} twice")
    places = {name: columns.index(name) for name in _USED if name in columns}
    number = 0
    for number, (line, fields) in enumerate(lines, start=1):
        where = f"row {number} (line {line})"
        if len(fields) != len(columns):
            raise _FaultError(f"{where} has {len(fields)} fields, the header has {len(columns)}")
        values = {name: fields[place] for name, place in places.items()}
        for name in ("state", "candidate"):
            if not values[name]:
                raise _FaultError(f"{where}: {name} is empty")
        if "\0" in "".join(values.values()):
            raise _FaultError(f"{where} holds a NUL character")
        if not _COUNT.fullmatch(values["candidatevotes"]):
            raise _FaultError(
                f"{where}: candidatevotes is {values['candidatevotes']!r}, "
                "expected a whole number of 0 or more"
            )
        yield _Record(
            ResultRow(number, values["state"], values["candidate"], int(values["candidatevotes"])),
            values.get("party", ""),
            {name: values[name] for name in _SELECTORS if name in values},
        )
    if not number:
        raise _FaultError("has no rows")


def _select(
    records: Iterator[_Record], wanted: Mapping[str, str | None]
) -> tuple[tuple[ResultRow, ...], dict[str, str]]:
    """Keep one year's and one office's rows, but check them all."""
    # The same few texts come up in every row: one copy of each is enough.
    texts: dict[str, str] = {}
    found: dict[str, dict[str, None]] = {name: {} for name in _SELECTORS}
    rows: list[ResultRow] = []
    parties: dict[str, str] = {}
    for record in records:
        for name, value in record.selectors.items():
            found[name][value] = None
        if all(
            value is None or record.selectors.get(name, "").casefold() == value.strip().casefold()
            for name, value in wanted.items()
        ):
            row = record.row
            state = texts.setdefault(row.state, row.state)
            candidate = texts.setdefault(row.candidate, row.candidate)
            rows.append(attrs.evolve(row, state=state, candidate=candidate))
            parties.setdefault(candidate, record.party)
    for name, choice in wanted.items():
        values = ", ".join(sorted(found[name]))
        if choice is not None and not found[name]:
            raise _FaultError(f"lacks the column {name!r}, by which --{name} selects")
        if choice is None and len(found[name]) > 1:
            raise _FaultError(f"holds several values of {name}, choose with --{name}: {values}")
        if choice is not None and not rows:
            raise _FaultError(f"has no row that --{name} {choice!r} selects; {name}: {values}")
    return tuple(rows), parties
