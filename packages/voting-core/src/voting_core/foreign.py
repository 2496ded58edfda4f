"""Foreign records: records of our topics that the services did not write.

Any client with access to a topic may write them. They are skipped, counted and reported by topic,
partition and offset; they never stop a service.
"""

from bisect import insort
from collections import Counter
from typing import Any

import attrs

MAX_NAMED = 20
"""Foreign records that are kept by position; of further ones, only the number is."""


@attrs.frozen(order=True)
class ForeignRecord:
    """A record that the services did not write.

    Attributes:
        reason: Why it is foreign.
    """

    topic: str
    partition: int
    offset: int
    reason: str

    def __str__(self) -> str:
        return f"{self.topic} {self.partition}@{self.offset}: {self.reason}"


@attrs.define
class ForeignRecords:
    """Foreign records in bounded memory: the first by position, and the number of all."""

    _first: list[ForeignRecord] = attrs.field(factory=list)
    _numbers: Counter[str] = attrs.field(factory=Counter)

    def add(self, record: ForeignRecord, number: int = 1) -> None:
        """Add a record; `number` is that of the records of which it is the first."""
        self._numbers[record.topic] += number
        insort(self._first, record)
        del self._first[MAX_NAMED:]

    def update(self, other: "ForeignRecords") -> None:
        """Add the records of another collection."""
        self._numbers.update(other._numbers)
        self._first = sorted([*self._first, *other._first])[:MAX_NAMED]

    @property
    def number(self) -> int:
        """The number of all foreign records."""
        return self._numbers.total()

    @property
    def by_topic(self) -> dict[str, int]:
        """The number of foreign records by topic."""
        return dict(sorted(self._numbers.items()))

    @property
    def first(self) -> tuple[ForeignRecord, ...]:
        """The first foreign records, in the order of topic, partition and offset."""
        return tuple(self._first)

    def first_of(self, topic: str) -> ForeignRecord | None:
        """Return the first foreign record of a topic, if it is among those that are kept."""
        return next((each for each in self._first if each.topic == topic), None)

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def __str__(self) -> str:
        """Return the numbers and the first record of each topic in one line."""
        parts = []
        for topic, number in self.by_topic.items():
            first = self.first_of(topic)
            named = "" if first is None else f", first {first.partition}@{first.offset}"
            parts.append(f"{number:,} on {topic}{named}")
        return "; ".join(parts)

    def as_json(self) -> dict[str, Any]:
        """Return the numbers and the first records as a JSON object."""
        return {
            "records": self.number,
            "by_topic": self.by_topic,
            "first": [attrs.asdict(each) for each in self._first],
        }
