"""Reading the aggregates: the fields of each topic, and the current total of each key.

`voting_stream/aggregation.py` defines what is counted, and how the votes are grouped.

Totals are absolute and, for one `votes_topic`, only increase. The highest total of each key is
therefore correct in any order of records and after any replay, provided that totals of another
`votes_topic`, deleted and recreated since, are ignored.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from voting_core import topics
from voting_core.exceptions import SerializationError
from voting_core.serialization import compound_key, decode_json, decode_object

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


_KEYS: Mapping[str, tuple[str, ...]] = {
    topics.VOTES_PER_CANDIDATE.name: ("candidate_id",),
    topics.TURNOUT_BY_LOCATION.name: ("state",),
    topics.VOTES_PER_CANDIDATE_BY_LOCATION.name: ("state", "candidate_id"),
    topics.TURNOUT_BY_DEMOGRAPHIC.name: ("dimension", "value"),
    topics.VOTES_OVER_TIME.name: ("minute", "candidate_id"),
    topics.AGGREGATED_PROGRESS.name: ("partition",),
}
_TYPES: Mapping[str, Mapping[str, type]] = {
    topic: {**fields, "total_votes": int, "votes_topic_id": str}
    for topic, fields in AGGREGATE_FIELDS.items()
}
_NUMBERS: Mapping[str, tuple[str, ...]] = {
    topic: tuple(name for name, kind in fields.items() if kind is int)
    for topic, fields in _TYPES.items()
}
# Counts of records of votes_topic that are not votes; absent without such a record.
_FOREIGN_FIELDS = ("foreign_records", "first_foreign_offset")
_MAX_TOTAL = 2**63
_DIMENSIONS = ("gender", "age_band")
_MINUTE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:00Z", re.ASCII)


def check_total(topic: str, key: bytes | None, row: Row) -> None:
    """Check that a record of an aggregate topic is a total of that topic.

    The stream writes no other record there. Fields that it does not know are ignored.

    Raises:
        SerializationError: A field is missing, has another type or an impossible value, or the key
            does not fit the fields.
    """
    for name, kind in _TYPES[topic].items():
        if type(row.get(name)) is not kind:
            expected = "text" if kind is str else "whole number"
            raise SerializationError(f"{name}: expected a {expected}")
    numbers = _NUMBERS[topic]
    if topic == topics.AGGREGATED_PROGRESS.name:
        numbers = (*numbers, *(name for name in _FOREIGN_FIELDS if name in row))
    for name in numbers:
        if type(row[name]) is not int or not 0 <= row[name] < _MAX_TOTAL:
            raise SerializationError(f"{name}: {row[name]!r:.80} is out of range")
    if topic == topics.TURNOUT_BY_DEMOGRAPHIC.name and row["dimension"] not in _DIMENSIONS:
        raise SerializationError(f"dimension: {row['dimension']!r:.80} is unknown")
    if topic == topics.VOTES_OVER_TIME.name and not _is_minute(row["minute"]):
        raise SerializationError(f"minute: {row['minute']!r:.80} is not a minute in UTC")
    if not _key_fits(topic, key, row):
        raise SerializationError("the key does not fit the fields")


def _is_minute(text: str) -> bool:
    if not _MINUTE.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _canonical_key(topic: str, row: Row) -> bytes:
    parts = [row[name] for name in _KEYS[topic]]
    return str(parts[0]).encode() if len(parts) == 1 else compound_key(*parts)


def _key_fits(topic: str, key: bytes | None, row: Row) -> bool:
    canonical = _canonical_key(topic, row)
    if key is None or key == canonical or len(_KEYS[topic]) == 1:
        return key == canonical
    try:
        return bool(decode_json(key) == decode_json(canonical))
    except SerializationError:
        return False


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

    def apply(self, topic: str, key: bytes | None, value: bytes | None) -> bool:
        """Apply one record of an aggregate topic.

        Returns:
            Whether the record raised a total, or the number of foreign records of a partition.

        Raises:
            SerializationError: The record is not a total, so the stream did not write it.
        """
        row = decode_object(value)
        check_total(topic, key, row)
        if row["votes_topic_id"] != self.votes_topic_id:
            return False
        # JSON has several spellings of one key, such as with spaces: it must not count twice.
        key = _canonical_key(topic, row)
        rows = self._rows.setdefault(topic, {})
        known = rows.get(key)
        if known is not None and known["total_votes"] > row["total_votes"]:
            self._regressed[topic, key] = row["total_votes"]
            return False
        if self._regressed:
            self._regressed.pop((topic, key), None)
        if known is not None and _rank(known) >= _rank(row):
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

    def sums(self) -> dict[str, int]:
        """Return the sum of the totals of each grouping, by topic and dimension."""
        found: dict[str, int] = {}
        for topic, rows in self._rows.items():
            for row in rows.values():
                grouping = topic
                if topic == topics.TURNOUT_BY_DEMOGRAPHIC.name:
                    grouping += f" {row['dimension']}"
                found[grouping] = found.get(grouping, 0) + row["total_votes"]
        return found


def _rank(row: Row) -> tuple[int, int]:
    return row["total_votes"], row.get("foreign_records", 0)


def unproven_sums(sums: Mapping[str, int], accepted: int) -> dict[str, int]:
    """Return the groupings whose sum exceeds the accepted votes, with the sum.

    Each grouping counts every vote once, and a vote is in PostgreSQL before it is in any total. So
    no sum can exceed the number of votes in PostgreSQL, if that is read after the totals.
    """
    return {grouping: total for grouping, total in sums.items() if total > accepted}


def unproven_totals(sums: Mapping[str, int], accepted: int) -> dict[str, str]:
    """Return, by topic, how its totals exceed the accepted votes: the detail of an incident.

    Of several groupings of a topic, the first is described.
    """
    found: dict[str, str] = {}
    for grouping, total in unproven_sums(sums, accepted).items():
        topic, _, dimension = grouping.partition(" ")
        what = f" by {dimension}" if dimension else ""
        detail = f"the totals{what} add up to {total:,} votes, PostgreSQL has {accepted:,}"
        found.setdefault(topic, detail)
    return found
