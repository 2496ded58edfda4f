"""The aggregates: one pass over the votes yields the records of every aggregate topic."""

from collections.abc import Mapping
from typing import Any, cast

import attrs
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from voting_core import topics
from voting_core.topics import TOPIC_ID_HEADER

_VOTE = """
voter_id STRING, candidate_id STRING, candidate_name STRING, party_affiliation STRING,
state STRING, gender STRING, age INT, voting_time STRING, vote INT
"""
_VOTE_FIELDS = tuple(field.split()[0] for field in _VOTE.split(","))

_TIME = r"^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\z"
"""A voting_time as the consumer writes it: the beginning is the minute in UTC."""

FOREIGN = "foreign"
"""Name of the observed metrics of each batch; see `observe_foreign`."""

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


def aggregate(records: DataFrame, votes_topic_id: str) -> DataFrame:
    """Return the totals of every aggregate topic.

    A record that the consumer did not write for this topic is not counted: one without the header
    `topic_id` with this id, and one that is not a complete vote. The number of these and the
    offset of the first are in `aggregated_progress`.

    Args:
        records: Records of `votes_topic` as Spark's Kafka source yields them with headers:
            `value` (binary JSON), `headers`, `partition` and `offset` are used.
        votes_topic_id: Id of that topic, which every total carries.

    Returns:
        Records for Spark's Kafka sink: `topic`, `key` and `value`, all strings.
    """
    foreign = ~F.col("is_vote")
    counted = (
        observe_foreign(_read_votes(records, votes_topic_id))
        .withColumn("age_band", _age_band(F.col("age")))
        # voting_time is UTC in ISO 8601: its first 16 characters are the minute.
        .withColumn("minute", F.concat(F.substring("voting_time", 1, 16), F.lit(":00Z")))
        .groupingSets(
            [[F.col(c) for c in grouping.columns] for grouping in _GROUPINGS],
            *[F.col(c) for c in _COLUMNS],
        )
        .agg(
            F.count_if(F.col("is_vote")).alias("total_votes"),
            F.max("offset").alias("last_offset"),
            F.count_if(foreign).alias("foreign_records"),
            F.min(F.when(foreign, F.col("offset"))).alias("first_foreign_offset"),
            F.grouping_id().alias("grouping"),
        )
    )
    (progress,) = (g for g in _GROUPINGS if g.columns == ("partition",))
    # A group without votes consists of foreign records, whose columns are null.
    counted = counted.where((F.col("total_votes") > 0) | (F.col("grouping") == progress.id))
    demographics = {g: g.dimension for g in _GROUPINGS if g.dimension}
    rows = counted.withColumns(
        {
            "dimension": _by_grouping({g: F.lit(name) for g, name in demographics.items()}),
            "value": _by_grouping({g: F.col(name) for g, name in demographics.items()}),
            "last_offset": _by_grouping({progress: F.col("last_offset")}),
            "foreign_records": _by_grouping(
                {progress: F.nullif(F.col("foreign_records"), F.lit(0))}
            ),
            "first_foreign_offset": _by_grouping({progress: F.col("first_foreign_offset")}),
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
                "foreign_records",
                "first_foreign_offset",
                "total_votes",
                "votes_topic_id",
            )
        ).alias("value"),
    )


def observe_foreign(votes: DataFrame) -> DataFrame:
    """Let each batch report its foreign records: their number, and the position of the first."""
    foreign = ~F.col("is_vote")
    return votes.observe(
        FOREIGN,
        F.count_if(foreign).alias("records"),
        F.min(F.when(foreign, F.struct("partition", "offset"))).alias("first"),
    )


def _read_votes(records: DataFrame, votes_topic_id: str) -> DataFrame:
    """Return the votes' columns, all null for a foreign record, and whether it is a vote."""
    vote = F.from_json(F.col("value").cast("string"), _VOTE)
    header = F.get(F.col("headers"), F.lit(0))
    is_own = (header["key"] == TOPIC_ID_HEADER) & (
        header["value"].cast("string") == F.lit(votes_topic_id)
    )
    is_complete = F.lit(True)
    for field in _VOTE_FIELDS:
        is_complete &= F.col(f"vote.{field}").isNotNull()
    time = F.col("vote.voting_time")
    is_complete &= (
        (F.col("vote.vote") == 1) & time.rlike(_TIME) & time.try_cast("timestamp").isNotNull()
    )
    is_vote = F.coalesce(F.col("is_own") & is_complete, F.lit(False))
    read = records.select(
        vote.alias("vote"), is_own.alias("is_own"), "partition", "offset"
    ).withColumn("is_vote", is_vote)
    columns = [
        F.when(F.col("is_vote"), F.col(f"vote.{field}")).alias(field) for field in _VOTE_FIELDS
    ]
    return read.select(*columns, "partition", "offset", "is_vote")


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
