"""The aggregates: one pass over the votes yields the records of every aggregate topic."""

from collections.abc import Mapping
from typing import Any, cast

import attrs
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from voting_core import topics

_VOTE = """
candidate_id STRING, candidate_name STRING, party_affiliation STRING,
state STRING, gender STRING, age INT, voting_time STRING
"""

_COLUMNS = (
    "candidate_id",
    "candidate_name",
    "party_affiliation",
    "state",
    "gender",
    "age_band",
    "minute",
    "partition",
)


@attrs.frozen
class _Grouping:
    """One set of totals.

    Attributes:
        topic: The aggregate topic of the totals.
        columns: The columns that the votes are grouped by.
        key: The record's key: the name of a column, or of several for a compact JSON array.
        dimension: The demographic dimension, if the topic holds several.
    """

    topic: str
    columns: tuple[str, ...]
    key: str | tuple[str, ...]
    dimension: str | None = None

    @property
    def id(self) -> int:
        """The grouping_id() of its rows: a bit for each column that is *not* grouped by."""
        bits = "".join("0" if column in self.columns else "1" for column in _COLUMNS)
        return int(bits, 2)


_GROUPINGS = (
    _Grouping(
        topics.VOTES_PER_CANDIDATE.name,
        ("candidate_id", "candidate_name", "party_affiliation"),
        "candidate_id",
    ),
    _Grouping(topics.TURNOUT_BY_LOCATION.name, ("state",), "state"),
    _Grouping(
        topics.VOTES_PER_CANDIDATE_BY_LOCATION.name,
        ("state", "candidate_id"),
        ("state", "candidate_id"),
    ),
    _Grouping(topics.TURNOUT_BY_DEMOGRAPHIC.name, ("gender",), ("dimension", "gender"), "gender"),
    _Grouping(
        topics.TURNOUT_BY_DEMOGRAPHIC.name, ("age_band",), ("dimension", "age_band"), "age_band"
    ),
    _Grouping(topics.VOTES_OVER_TIME.name, ("minute", "candidate_id"), ("minute", "candidate_id")),
    _Grouping(topics.AGGREGATED_PROGRESS.name, ("partition",), "partition"),
)


def aggregate(votes: DataFrame, votes_topic_id: str) -> DataFrame:
    """Return the totals of every aggregate topic.

    Args:
        votes: Records of `votes_topic` as Spark's Kafka source yields them: `value` (binary
            JSON), `partition` and `offset` are used.
        votes_topic_id: Id of that topic, which every total carries.

    Returns:
        Records for Spark's Kafka sink: `topic`, `key` and `value`, all strings.
    """
    vote = F.from_json(F.col("value").cast("string"), _VOTE).alias("vote")
    counted = (
        votes.select(vote, F.col("partition"), F.col("offset"))
        .select("vote.*", "partition", "offset")
        .withColumn("age_band", _age_band(F.col("age")))
        # voting_time is UTC in ISO 8601: its first 16 characters are the minute.
        .withColumn("minute", F.concat(F.substring("voting_time", 1, 16), F.lit(":00Z")))
        .groupingSets(
            [[F.col(c) for c in grouping.columns] for grouping in _GROUPINGS],
            *[F.col(c) for c in _COLUMNS],
        )
        .agg(
            F.count(F.lit(1)).alias("total_votes"),
            F.max("offset").alias("last_offset"),
            F.grouping_id().alias("grouping"),
        )
    )
    demographics = {g: g.dimension for g in _GROUPINGS if g.dimension}
    progress = {g: F.col("last_offset") for g in _GROUPINGS if g.columns == ("partition",)}
    rows = counted.withColumns(
        {
            "dimension": _by_grouping({g: F.lit(name) for g, name in demographics.items()}),
            "value": _by_grouping({g: F.col(name) for g, name in demographics.items()}),
            "last_offset": _by_grouping(progress),
            "votes_topic_id": F.lit(votes_topic_id),
        }
    )
    return rows.select(
        _by_grouping({g: F.lit(g.topic) for g in _GROUPINGS}).alias("topic"),
        _by_grouping({g: _key(g.key) for g in _GROUPINGS}).alias("key"),
        # Columns that a row is not grouped by are null, and to_json omits nulls.
        F.to_json(
            F.struct(
                "candidate_id",
                "candidate_name",
                "party_affiliation",
                "state",
                "dimension",
                "value",
                "minute",
                "partition",
                "last_offset",
                "total_votes",
                "votes_topic_id",
            )
        ).alias("value"),
    )


def _age_band(age: Column) -> Column:
    low = F.floor((age - 5) / 10) * 10 + 5
    return (
        F.when(age >= 65, "65+")
        .when(age < 25, "18-24")
        .otherwise(F.concat(low.cast("string"), F.lit("-"), (low + 9).cast("string")))
    )


def _key(names: str | tuple[str, ...]) -> Column:
    if isinstance(names, str):
        return F.col(names).cast("string")
    return F.to_json(F.array(*[F.col(name) for name in names]))


def _by_grouping(columns: Mapping[_Grouping, Column]) -> Column:
    cases: Any = F
    for grouping, column in columns.items():
        cases = cases.when(F.col("grouping") == grouping.id, column)
    return cast(Column, cases)
