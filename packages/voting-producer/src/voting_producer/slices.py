"""Slices: one election, sent by several producers, each its own part of the whole."""

import re
from collections.abc import Iterator

import attrs

__all__ = ["WHOLE", "Slice"]

_TEXT = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")


@attrs.frozen
class Slice:
    """Every `count`-th item, beginning with the one at `number`.

    The slices 1/N, 2/N … N/N have no item in common, together have all of them, and differ by one
    item in size at most.

    Attributes:
        number: Which slice, counted from 1.
        count: How many slices the whole has.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Slice":
        """Read a slice written as `I/N`.

        Raises:
            ValueError: It is not written so, or I is not one of 1 to N.
        """
        match = _TEXT.fullmatch(text)
        found = cls(int(match[1]), int(match[2])) if match else None
        if found is None or not 1 <= found.number <= found.count:
            raise ValueError(f"'slice' must be I/N with I from 1 to N, such as 1/2: {text!r}")
        return found

    def __contains__(self, position: int) -> bool:
        """Tell whether the item at a position, counted from 0, is in the slice."""
        return position % self.count == self.number - 1

    def within(self, positions: range) -> Iterator[int]:
        """Yield those of some consecutive positions that are in the slice."""
        yield from positions[(self.number - 1 - positions.start) % self.count :: self.count]

    def size(self, items: int) -> int:
        """Return how many of so many items are in the slice."""
        return len(range(self.number - 1, items, self.count))


WHOLE = Slice(1, 1)
"""All items."""
