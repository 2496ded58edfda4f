"""The rows of a register file, in CSV or JSON lines; a row is one candidate or voter."""

import enum
import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import attrs

from voting_core.exceptions import InputError, SerializationError
from voting_core.operator.register_import.csv_records import CsvRecord, csv_records
from voting_core.operator.register_import.lines import RegisterLines
from voting_core.operator.register_import.table import RegisterTable, excerpt, unknown_column
from voting_core.serialization import decode_object

_AGE = "registered_age"
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")


class FileFormat(enum.StrEnum):
    """The format of a register file."""

    CSV = "csv"
    JSONL = "jsonl"


_EXTENSIONS = {".csv": FileFormat.CSV, ".jsonl": FileFormat.JSONL, ".ndjson": FileFormat.JSONL}


def format_by_extension(name: str) -> FileFormat:
    """Return the format of a file by its extension.

    Raises:
        InputError: The extension is unknown.
    """
    try:
        return _EXTENSIONS[PurePath(name).suffix.lower()]
    except KeyError:
        raise InputError(
            f"{name}: its name ends in none of {', '.join(_EXTENSIONS)}; "
            f"use --format {' or '.join(FileFormat)}"
        ) from None


@attrs.frozen
class RegisterRow:
    """A valid row.

    Attributes:
        row: Number of the row, from 1, without the header and blank lines.
        line: Number of its first line, from 1.
        values: The values, in the order of the table's columns.
    """

    row: int
    line: int
    values: tuple[Any, ...]


@attrs.frozen(order=True)
class BadRow:
    """A row that cannot be registered.

    Attributes:
        row: Number of the row, as in `RegisterRow`.
        line: Number of its first line, from 1.
        last_line: Number of its last line, if that is another.
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


def read_register(
    lines: RegisterLines, table: RegisterTable, file_format: FileFormat
) -> Iterator[RegisterRow | BadRow]:
    """Yield every row of a file, in order.

    CSV fields are stripped of surrounding blanks; an empty `registered_age` is null.

    Raises:
        InputError: The header of a CSV file is missing or invalid.
    """
    if file_format is FileFormat.CSV:
        return _read_csv(lines, table)
    return _read_json_lines(lines, table)


def _read_json_lines(lines: RegisterLines, table: RegisterTable) -> Iterator[RegisterRow | BadRow]:
    row = 0
    for line in lines:
        if line.error is None and not line.text.strip():
            continue
        row += 1
        try:
            if line.error is not None:
                raise SerializationError(line.error)
            fields = decode_object(line.text.rstrip().encode())
            yield RegisterRow(row, line.number, table.values(fields))
        except SerializationError as error:
            # The parser's line number refers to this line alone.
            reason = re.sub(r": line 1 (column \d+) \(char \d+\)$", r" at \1", str(error))
            yield BadRow(row, line.number, reason)


def _read_csv(lines: RegisterLines, table: RegisterTable) -> Iterator[RegisterRow | BadRow]:
    records = csv_records(lines)
    header = _header(next(records, None), table)
    for row, record in enumerate(records, start=1):
        try:
            yield RegisterRow(row, record.line, table.values(_csv_fields(record, header)))
        except SerializationError as error:
            last_line = record.last_line if record.last_line != record.line else None
            yield BadRow(row, record.line, str(error), last_line)


def _csv_fields(record: CsvRecord, header: list[str]) -> dict[str, Any]:
    if record.error is not None:
        raise SerializationError(record.error)
    if len(record.fields) != len(header):
        raise SerializationError(f"has {len(record.fields)} fields, the header has {len(header)}")
    fields: dict[str, Any] = dict(zip(header, record.fields, strict=True))
    if _AGE in fields:
        fields[_AGE] = _whole_number(fields[_AGE])
    return fields


def _whole_number(text: str) -> int | None:
    if not text:
        return None
    if not _WHOLE_NUMBER.fullmatch(text):
        raise SerializationError(f"{_AGE}: expected a whole number of 0 or more")
    return int(text)


def _header(record: CsvRecord | None, table: RegisterTable) -> list[str]:
    if record is None:
        raise InputError("is empty")
    if record.error is not None:
        raise InputError(f"the header (line {record.line}): {record.error}")
    columns = record.fields
    if len(columns) == 1 and (other := re.search(r"[;\t|]", columns[0])):
        raise InputError(f"the header is separated by {other[0]!r}, not by commas")
    for name in columns:
        if name not in table.columns:
            raise InputError(f"column {excerpt(name)!r}: {unknown_column(name, table.columns)}")
        if columns.count(name) > 1:
            raise InputError(f"column {name!r} occurs twice")
    for name in table.required:
        if name not in columns:
            raise InputError(f"lacks the column {name!r}")
    return columns
