"""Sharding: several producers share one election, and each sends its part."""

import re
from collections.abc import Iterator

import attrs

_TEXT = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")


@attrs.frozen
class Shard:
    """Every `count`-th item, beginning with item `number`.

    The shards 1/N, 2/N … N/N are disjoint, together contain all items, and differ in size by at
    most one item. The option is called `--slice`.

    Attributes:
        number: Number of the shard, counted from 1.
        count: Number of shards.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Return the shard written as `I/N`.

        Raises:
            ValueError: The text has another form, or I is not one of 1 to N.
        """
        match = _TEXT.fullmatch(text)
        found = cls(int(match[1]), int(match[2])) if match else None
        if found is None or not 1 <= found.number <= found.count:
            raise ValueError(f"'slice' must be I/N with I from 1 to N, such as 1/2: {text!r}")
        return found

    def __contains__(self, position: int) -> bool:
        """Return whether the item at a position, counted from 0, is in the shard."""
        return position % self.count == self.number - 1

    def within(self, positions: range) -> Iterator[int]:
        """Yield those of the consecutive positions that are in the shard."""
        yield from positions[(self.number - 1 - positions.start) % self.count :: self.count]

    def size(self, items: int) -> int:
        """Return the number of items in the shard, out of `items` in total."""
        return len(range(self.number - 1, items, self.count))


WHOLE = Shard(1, 1)
"""The shard that contains all items."""
