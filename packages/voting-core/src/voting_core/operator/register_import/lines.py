"""The lines of a file, decoded one by one in bounded memory."""

from collections.abc import Iterator
from typing import BinaryIO

import attrs

MAX_ROW_BYTES = 1_000_000
"""A longer line, or a longer row of several lines, is refused to bound memory."""


@attrs.frozen
class Line:
    """A line of a file.

    Attributes:
        number: Number of the line, from 1.
        text: The line, including its end.
        error: Why the line cannot be used, or None.
    """

    number: int
    text: str
    error: str | None = None


class RegisterLines:
    """The lines of a file, and the number of bytes read so far."""

    def __init__(self, file: BinaryIO) -> None:
        self.bytes_read = 0
        self._file = file
        self._number = 0

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        content = self._read(MAX_ROW_BYTES + 1)
        if not content:
            raise StopIteration
        self._number += 1
        if len(content) > MAX_ROW_BYTES:
            while content and not content.endswith(b"\n"):
                content = self._read(65_536)
            return Line(self._number, "", f"longer than {MAX_ROW_BYTES:,} bytes")
        if self._number == 1:
            content = content.removeprefix(b"\xef\xbb\xbf")
        try:
            return Line(self._number, content.decode())
        except UnicodeDecodeError as error:
            reason = f"not UTF-8 at byte {error.start + 1} of the line"
            return Line(self._number, content.decode(errors="replace"), reason)

    def _read(self, limit: int) -> bytes:
        content = self._file.readline(limit)
        self.bytes_read += len(content)
        return content
