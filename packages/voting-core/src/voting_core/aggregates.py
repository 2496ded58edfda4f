"""Reading the aggregates: the fields of each topic, and the current total of each key.

`voting_stream/aggregation.py` defines what is counted, and how the votes are grouped.

Totals are absolute and, for one `votes_topic`, only increase. The highest total of each key is
therefore correct in any order of records and after any replay, provided that totals of another
`votes_topic`, deleted and recreated since, are ignored.
"""

from collections.abc import Mapping
from typing import Any

import attrs

from voting_core import topics
from voting_core.exceptions import SerializationError
from voting_core.serialization import decode_object

Row = dict[str, Any]

AGGREGATE_FIELDS: Mapping[str, Mapping[str, type]] = {
    topics.VOTES_PER_CANDIDATE.name: {
        "candidate_id": str,
        "candidate_name": str,
        "party_affiliation": str,
    },
    topics.TURNOUT_BY_LOCATION.name: {"state": str},
    topics.VOTES_PER_CANDIDATE_BY_LOCATION.name: {"state": str, "candidate_id": str},
    topics.TURNOUT_BY_DEMOGRAPHIC.name: {"dimension": str, "value": str},
    topics.VOTES_OVER_TIME.name: {"minute": str, "candidate_id": str},
    topics.AGGREGATED_PROGRESS.name: {"partition": int, "last_offset": int},
}
"""The fields of each aggregate topic, beside `total_votes` and `votes_topic_id`."""


def check_total(topic: str, row: Row) -> None:
    """Check that a record of an aggregate topic has the fields of that topic.

    Raises:
        SerializationError: A field is missing or has another type.
    """
    fields = {**AGGREGATE_FIELDS[topic], "total_votes": int, "votes_topic_id": str}
    for name, kind in fields.items():
        if type(row.get(name)) is not kind:
            expected = "text" if kind is str else "whole number"
            raise SerializationError(f"{name}: expected a {expected}")


@attrs.frozen
class RegressedTotal:
    """A key whose last total is lower than an earlier one.

    A stream that recounts from the beginning writes such totals until it has caught up.
    """

    topic: str
    key: bytes
    last: int
    highest: int


@attrs.define
class AggregateView:
    """The highest total of each key, for one `votes_topic`; not thread-safe."""

    votes_topic_id: str
    _rows: dict[str, dict[bytes, Row]] = attrs.field(factory=dict, init=False)
    _regressed: dict[tuple[str, bytes], int] = attrs.field(factory=dict, init=False)

    def apply(self, topic: str, key: bytes, value: bytes) -> bool:
        """Apply one record of an aggregate topic.

        Returns:
            Whether the record raised a total.

        Raises:
            SerializationError: The value is not a JSON object.
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
        """Return the topic's rows, one per key, in the order of the keys' first records."""
        return list(self._rows.get(topic, {}).values())

    def regressed(self) -> list[RegressedTotal]:
        """Return the keys whose last total is lower than an earlier one."""
        return [
            RegressedTotal(topic, key, last, self._rows[topic][key]["total_votes"])
            for (topic, key), last in self._regressed.items()
        ]
