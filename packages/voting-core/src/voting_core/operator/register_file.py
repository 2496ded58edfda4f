"""Reading a register from a file: CSV or JSON lines, checked row by row.

A row is one candidate or voter in the columns of its table. The rules for what a field may hold
are those of the wire; what is refused besides is what would only do harm in a register.
"""

import csv
import difflib
import enum
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath
from typing import Any, BinaryIO

import attrs

from voting_core.database.voter_register import CANDIDATE_COLUMNS, VOTER_COLUMNS, voter_row
from voting_core.exceptions import InputError, SerializationError
from voting_core.models import Address, Candidate, Voter
from voting_core.serialization import decode_object, read_candidate, read_voter

__all__ = [
    "CANDIDATES",
    "MAX_ROW_BYTES",
    "VOTERS",
    "Entry",
    "Fault",
    "FileFormat",
    "RegisterLines",
    "RegisterTable",
    "format_of",
    "read_register",
]

MAX_ROW_BYTES = 1_000_000
"""A longer line, or row of several lines, is refused, so that memory stays bounded."""

MAX_LABEL_CHARS = 1_000
"""Names and locations travel in every vote and as keys of the tallies."""

MAX_AGE = 150

_AGE = "registered_age"
_ADDRESS = "address"
_ADDRESS_FIELDS = tuple(field.name for field in attrs.fields(Address))
_IN_ADDRESS = {f"{_ADDRESS}_{part}": part for part in _ADDRESS_FIELDS}
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")


class FileFormat(enum.StrEnum):
    """How a file is laid out."""

    CSV = "csv"
    JSONL = "jsonl"


_EXTENSIONS = {".csv": FileFormat.CSV, ".jsonl": FileFormat.JSONL, ".ndjson": FileFormat.JSONL}


def format_of(name: str) -> FileFormat:
    """Return the format that a file's extension tells.

    Raises:
        InputError: It tells none.
    """
    try:
        return _EXTENSIONS[PurePath(name).suffix.lower()]
    except KeyError:
        raise InputError(
            f"{name}: its name ends in none of {', '.join(_EXTENSIONS)}; "
            f"say --format {' or '.join(FileFormat)}"
        ) from None


@attrs.frozen
class Entry:
    """A sound row.

    Attributes:
        row: Which row it is, counted from 1; neither a header nor blank lines count.
        line: The line of the file on which it begins, counted from 1.
        values: In the order of the table's columns.
    """

    row: int
    line: int
    values: tuple[Any, ...]


@attrs.frozen(order=True)
class Fault:
    """A row that cannot be registered, and why.

    Attributes:
        row: As of an entry.
        line: As of an entry.
        reason: In one line.
        last_line: The line on which it ends, if that is another.
    """

    row: int
    line: int
    reason: str
    last_line: int | None = None

    def __str__(self) -> str:
        lines = (
            f"line {self.line}"
            if self.last_line is None
            else f"lines {self.line} to {self.last_line}"
        )
        return f"row {self.row} ({lines}): {self.reason}"


def _voter_values(fields: dict[str, Any]) -> tuple[Any, ...]:
    """Return a voter's row from flat fields, or from such with a nested address."""
    if "choice" in fields:
        raise SerializationError("choice: belongs on a ballot, not in the register")
    flat = _ADDRESS not in fields
    if flat:
        fields = _nested(fields)
    else:
        _check_names([name for name in fields if name != _ADDRESS], VOTER_COLUMNS)
        address = fields[_ADDRESS]
        if doubled := [name for name in fields if name in _IN_ADDRESS]:
            raise SerializationError(f"{doubled[0]}: stands beside a nested address")
        if type(address) is dict:
            _check_names(address, _ADDRESS_FIELDS, f"{_ADDRESS}.")
    try:
        voter = read_voter(fields)
        _check_voter(voter)
    except SerializationError as error:
        raise _flattened(error) if flat else error from None
    return voter_row(voter)


def _nested(fields: dict[str, Any]) -> dict[str, Any]:
    _check_names(fields, VOTER_COLUMNS)
    nested = {name: value for name, value in fields.items() if name not in _IN_ADDRESS}
    nested[_ADDRESS] = {part: fields[name] for name, part in _IN_ADDRESS.items() if name in fields}
    return nested


def _flattened(error: SerializationError) -> SerializationError:
    return SerializationError(re.sub(r"^address\.", "address_", str(error)))


def _check_voter(voter: Voter) -> None:
    _check_label("gender", voter.gender)
    _check_label("address.state", voter.address.state)
    age = voter.registered_age
    if age is not None and not 0 <= age <= MAX_AGE:
        raise SerializationError(f"{_AGE}: {age} is not from 0 to {MAX_AGE}")


def _candidate_values(fields: dict[str, Any]) -> tuple[Any, ...]:
    _check_names(fields, CANDIDATE_COLUMNS)
    candidate: Candidate = read_candidate(fields)
    _check_label("candidate_name", candidate.candidate_name)
    _check_label("party_affiliation", candidate.party_affiliation)
    return attrs.astuple(candidate)


def _check_label(name: str, text: str) -> None:
    if len(text) > MAX_LABEL_CHARS:
        raise SerializationError(f"{name}: longer than {MAX_LABEL_CHARS:,} characters")


def _check_names(found: Sequence[str] | dict[str, Any], known: Sequence[str], at: str = "") -> None:
    for name in found:
        if name not in known:
            raise SerializationError(f"{at}{_excerpt(name)}: {_unknown(name, known)}")


def _unknown(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name[:100].lower(), known, 1)
    return f"not a column of the register{f'; is it {close[0]}?' if close else ''}"


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")[1:-1]


@attrs.frozen
class RegisterTable:
    """A table that a file can be loaded into.

    Attributes:
        name: The table's name.
        columns: Its columns, which are the file's; the first is the id.
        required: Columns that a file must have.
        values: Makes a row of a JSON object; raises SerializationError.
    """

    name: str
    columns: tuple[str, ...]
    required: tuple[str, ...]
    values: Callable[[dict[str, Any]], tuple[Any, ...]] = attrs.field(repr=False)


CANDIDATES = RegisterTable(
    "candidates", CANDIDATE_COLUMNS, ("candidate_id", "candidate_name"), _candidate_values
)
VOTERS = RegisterTable(
    "voters",
    VOTER_COLUMNS,
    ("voter_id", "voter_name", "date_of_birth", "gender", "address_state"),
    _voter_values,
)


@attrs.frozen
class _Line:
    number: int
    text: str
    fault: str | None = None


class RegisterLines:
    """The lines of a file, one at a time.

    Attributes:
        bytes_read: Bytes read so far.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.bytes_read = 0
        self._file = file
        self._number = 0

    def __iter__(self) -> Iterator[_Line]:
        return self

    def __next__(self) -> _Line:
        content = self._read(MAX_ROW_BYTES + 1)
        if not content:
            raise StopIteration
        self._number += 1
        if len(content) > MAX_ROW_BYTES:
            while content and not content.endswith(b"\n"):
                content = self._read(65_536)
            return _Line(self._number, "", f"longer than {MAX_ROW_BYTES:,} bytes")
        if self._number == 1:
            content = content.removeprefix(b"\xef\xbb\xbf")
        try:
            return _Line(self._number, content.decode())
        except UnicodeDecodeError as error:
            reason = f"not UTF-8 at byte {error.start + 1} of the line"
            return _Line(self._number, content.decode(errors="replace"), reason)

    def _read(self, limit: int) -> bytes:
        content = self._file.readline(limit)
        self.bytes_read += len(content)
        return content


def read_register(
    lines: RegisterLines, table: RegisterTable, file_format: FileFormat
) -> Iterator[Entry | Fault]:
    """Yield every row of a file, sound or not, in the file's order.

    Texts of a CSV file are trimmed; an empty `registered_age` is none.

    Args:
        lines: The file.
        table: What it is to hold.
        file_format: How it is laid out.

    Raises:
        InputError: A CSV file has no usable header.
    """
    if file_format is FileFormat.CSV:
        return _read_csv(lines, table)
    return _read_json_lines(lines, table)


def _read_json_lines(lines: RegisterLines, table: RegisterTable) -> Iterator[Entry | Fault]:
    row = 0
    for line in lines:
        if line.fault is None and not line.text.strip():
            continue
        row += 1
        try:
            if line.fault is not None:
                raise SerializationError(line.fault)
            fields = decode_object(line.text.rstrip().encode())
            yield Entry(row, line.number, table.values(fields))
        except SerializationError as error:
            # The parser counts lines too, but knows only this one.
            reason = re.sub(r": line 1 (column \d+) \(char \d+\)$", r" at \1", str(error))
            yield Fault(row, line.number, reason)


@attrs.frozen
class _Record:
    """A CSV record; `fields` means nothing if there is a fault."""

    line: int
    last_line: int
    fields: list[str]
    fault: str | None

    @property
    def extent(self) -> int | None:
        return self.last_line if self.last_line != self.line else None


def _read_csv(lines: RegisterLines, table: RegisterTable) -> Iterator[Entry | Fault]:
    records = _csv_records(lines)
    header = _header(next(records, None), table)
    for row, record in enumerate(records, start=1):
        try:
            if record.fault is not None:
                raise SerializationError(record.fault)
            if len(record.fields) != len(header):
                raise SerializationError(
                    f"has {len(record.fields)} fields, the header has {len(header)}"
                )
            fields: dict[str, Any] = dict(zip(header, record.fields, strict=True))
            if _AGE in fields:
                fields[_AGE] = _whole_number(fields[_AGE])
            yield Entry(row, record.line, table.values(fields))
        except SerializationError as error:
            yield Fault(row, record.line, str(error), record.extent)


def _whole_number(text: str) -> int | None:
    if not text:
        return None
    if not _WHOLE_NUMBER.fullmatch(text):
        raise SerializationError(f"{_AGE}: expected a whole number of 0 or more")
    return int(text)


def _header(record: _Record | None, table: RegisterTable) -> list[str]:
    if record is None:
        raise InputError("is empty")
    if record.fault is not None:
        raise InputError(f"the header (line {record.line}): {record.fault}")
    columns = record.fields
    if len(columns) == 1 and (other := re.search(r"[;\t|]", columns[0])):
        raise InputError(f"the header is separated by {other[0]!r}, not by commas")
    for name in columns:
        if name not in table.columns:
            raise InputError(f"column {_excerpt(name)!r}: {_unknown(name, table.columns)}")
        if columns.count(name) > 1:
            raise InputError(f"column {name!r} stands there twice")
    for name in table.required:
        if name not in columns:
            raise InputError(f"lacks the column {name!r}")
    return columns


class _Source:
    """Hands lines to the CSV reader, and remembers those that its present record took."""

    def __init__(self, lines: Iterator[_Line]) -> None:
        self.taken: list[_Line] = []
        self._size = 0
        self._lines = lines
        self._returned: deque[_Line] = deque()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else next(self._lines)
        self.taken.append(line)
        self._size += len(line.text)
        if self._size > MAX_ROW_BYTES:
            raise csv.Error(f"longer than {MAX_ROW_BYTES:,} characters")
        return line.text

    def next_record(self) -> None:
        """Forget the lines of the last record."""
        self.taken.clear()
        self._size = 0

    def keep_first(self) -> None:
        """Take all lines of the present record back but the first."""
        self._returned.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]


def _csv_records(lines: Iterator[_Line]) -> Iterator[_Record]:
    """Yield every record that is not blank."""
    source = _Source(lines)
    reader = csv.reader(source, strict=True)
    while True:
        source.next_record()
        fields: list[str] = []
        try:
            fields = [field.strip() for field in next(reader)]
            fault = next((line.fault for line in source.taken if line.fault is not None), None)
        except StopIteration:
            return
        except csv.Error as error:
            # A quote that is never closed takes the rows behind it along: it costs only its line.
            source.keep_first()
            fault = f"not CSV: {_plain(error)}"
        if fault is not None or any(fields):
            yield _Record(source.taken[0].number, source.taken[-1].number, fields, fault)


def _plain(error: csv.Error) -> str:
    message = str(error)
    if message.startswith("new-line character"):
        return "a carriage return that ends no line"
    return message
