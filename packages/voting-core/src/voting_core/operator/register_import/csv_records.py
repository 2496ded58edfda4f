"""CSV records with their line numbers; an error costs one record, not the rest of the file."""

import csv
from collections import deque
from collections.abc import Iterator

import attrs

from voting_core.operator.register_import.lines import MAX_ROW_BYTES, Line


@attrs.frozen
class CsvRecord:
    """A CSV record, with the numbers of its first and last line.

    Attributes:
        fields: The fields, without surrounding blanks; undefined after an error.
        error: Why the record cannot be used, or None.
    """

    line: int
    last_line: int
    fields: list[str]
    error: str | None


class _LineSource:
    """Passes lines to the CSV reader and keeps those of the current record."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self.taken: list[Line] = []
        self._size = 0
        self._lines = lines
        self._returned: deque[Line] = deque()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else next(self._lines)
        self.taken.append(line)
        self._size += len(line.text)
        if self._size > MAX_ROW_BYTES:
            raise csv.Error(f"longer than {MAX_ROW_BYTES:,} characters")
        return line.text

    def start_record(self) -> None:
        """Discard the lines of the previous record."""
        self.taken.clear()
        self._size = 0

    def return_all_but_first(self) -> None:
        """Return the lines of the current record after the first, to be read again."""
        self._returned.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]


def csv_records(lines: Iterator[Line]) -> Iterator[CsvRecord]:
    """Yield every record that is not blank."""
    source = _LineSource(lines)
    reader = csv.reader(source, strict=True)
    while True:
        source.start_record()
        fields: list[str] = []
        try:
            fields = [field.strip() for field in next(reader)]
            error = next((line.error for line in source.taken if line.error is not None), None)
        except StopIteration:
            return
        except csv.Error as csv_error:
            # An unclosed quote consumes the rows after it; only its own line is an error.
            source.return_all_but_first()
            error = f"not CSV: {_message(csv_error)}"
        if error is not None or any(fields):
            yield CsvRecord(source.taken[0].number, source.taken[-1].number, fields, error)


def _message(error: csv.Error) -> str:
    message = str(error)
    if message.startswith("new-line character"):
        return "a carriage return that ends no line"
    return message
