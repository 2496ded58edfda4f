"""Reading the aggregate topics: the highest total of each key is the truth.

Totals are absolute and, for one `votes_topic`, only grow. So whatever order records come in, and
however often the stream repeats itself, keeping the highest total of each key is right, as long as
totals counted from another `votes_topic` (deleted since, and recreated) are left aside.
"""

from typing import Any

import attrs

from voting_core.serialization import decode_object

__all__ = ["AggregateView", "RegressedTotal"]

Row = dict[str, Any]


@attrs.frozen
class RegressedTotal:
    """A key whose last total is not its highest.

    A stream that counts again from the beginning writes such totals until it has caught up.
    """

    topic: str
    key: bytes
    last: int
    highest: int


@attrs.define
class AggregateView:
    """What the aggregate topics say, key by key; not safe for use by several threads.

    Attributes:
        votes_topic_id: Id of the `votes_topic` whose totals are kept.
    """

    votes_topic_id: str
    _rows: dict[str, dict[bytes, Row]] = attrs.field(factory=dict, init=False)
    _regressed: dict[tuple[str, bytes], int] = attrs.field(factory=dict, init=False)

    def apply(self, topic: str, key: bytes, value: bytes) -> bool:
        """Take in one record of an aggregate topic.

        Returns:
            Whether it raised a total.

        Raises:
            SerializationError: The value is no JSON object.
        """
        row = decode_object(value)
        if row["votes_topic_id"] != self.votes_topic_id:
            return False
        rows = self._rows.setdefault(topic, {})
        known = rows.get(key)
        if known is not None and known["total_votes"] > row["total_votes"]:
            self._regressed[topic, key] = row["total_votes"]
            return False
        if self._regressed:
            self._regressed.pop((topic, key), None)
        if known is not None and known["total_votes"] == row["total_votes"]:
            return False
        rows[key] = row
        return True

    def rows(self, topic: str) -> list[Row]:
        """Return the topic's rows, one for each key, in the order in which the keys came up."""
        return list(self._rows.get(topic, {}).values())

    def regressed(self) -> list[RegressedTotal]:
        """Return the keys whose last record holds less than an earlier one."""
        return [
            RegressedTotal(topic, key, last, self._rows[topic][key]["total_votes"])
            for (topic, key), last in self._regressed.items()
        ]
