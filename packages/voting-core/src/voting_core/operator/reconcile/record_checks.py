"""Comparing the tables with the staged topics, record by record, in SQL.

Each check stores mismatches in a temporary table, which is empty if there are none, counts them,
and reports the first ones. All checks run in one transaction and see one state of the tables.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import psycopg
from psycopg.rows import dict_row

from voting_core.operator.reconcile.differences import (
    MAX_NAMED,
    Difference,
    Findings,
    compare_groups,
)
from voting_core.operator.reconcile.watermark import DECIDED_REJECTIONS, DECIDED_VOTES
from voting_core.operator.vote_counts import select_number

Row = dict[str, Any]

_SOURCE = ("source_topic_id", "source_partition", "source_offset")
_SOURCE_RECORD = "{source_topic_id} {source_partition}@{source_offset}"


@attrs.frozen(kw_only=True)
class PublishedTable:
    """A table whose rows are published on a topic.

    Attributes:
        name: Name of the table, and of the column of `watermarks` that bounds its rows.
        topic: Name of the topic, whose records are staged as `staged_{name}`.
        stored: The rows in the form in which they are published, as a FROM operand.
        key: Columns that identify a row.
        fields: Columns to compare.
        kind: Kind of the differences between a row and its record.
        figure: Name of such a difference, a format of the row's columns.
        repeated_kind: Kind of the differences of records that exist more than once.
        repeated_figure: Name of such a difference.
    """

    name: str
    topic: str
    stored: str
    key: Sequence[str]
    fields: Sequence[str]
    kind: str
    figure: str
    repeated_kind: str
    repeated_figure: str

    @property
    def unpublished(self) -> str:
        """The stored rows in flight to the topic, as a FROM operand."""
        return f"mismatched_{self.name} WHERE NOT is_published AND in_flight"


VOTES = PublishedTable(
    name="votes",
    topic="votes_topic",
    stored="votes",
    key=["voter_id"],
    fields=("candidate_id", "state", "gender", "age", "voting_time"),
    kind="voter",
    figure="voter {voter_id}",
    repeated_kind="voter twice on votes_topic",
    repeated_figure="records of voter {voter_id}",
)
REJECTIONS = PublishedTable(
    name="rejections",
    topic="rejected_votes_topic",
    stored="(SELECT source_topic_id, source_partition::bigint, source_offset, voter_id, reason,"
    " detail, date_trunc('milliseconds', record_time) AS record_time, record_size::bigint,"
    " encode(record_sha256, 'hex') AS record_sha256 FROM rejections)",
    key=_SOURCE,
    fields=("voter_id", "reason", "detail", "record_time", "record_size", "record_sha256"),
    kind="rejection",
    figure=f"rejection of record {_SOURCE_RECORD}",
    repeated_kind="record twice on rejected_votes_topic",
    repeated_figure=f"rejections of record {_SOURCE_RECORD}",
)


def columns(alias: str, fields: Sequence[str], prefix: str = "") -> str:
    """Return a select list of an alias's columns, renamed with a prefix if there is one."""
    names = [f" AS {prefix}{field}" if prefix else "" for field in fields]
    return ", ".join(f"{alias}.{field}{name}" for field, name in zip(fields, names, strict=True))


def _mismatches(table: PublishedTable) -> str:
    # Only decisions on the current voters_topic can be in flight, not those on its predecessors.
    return f"""
    CREATE TEMPORARY TABLE mismatched_{table.name} AS
    SELECT {", ".join(table.key)},
           t.{table.key[0]} IS NOT NULL AS is_stored, s.{table.key[0]} IS NOT NULL AS is_published,
           t.source_topic_id = (SELECT min(topic_id) FROM watermarks)
           AND t.source_offset >= coalesce(w.{table.name}, 0) AS in_flight,
           {columns("t", table.fields)}, {columns("s", table.fields, "published_")}
    FROM {table.stored} t FULL JOIN staged_{table.name} s USING ({", ".join(table.key)})
         LEFT JOIN watermarks w
             ON w.topic_id = t.source_topic_id AND w.partition = t.source_partition
    WHERE ({columns("t", table.fields)}) IS DISTINCT FROM ({columns("s", table.fields)})
    """


def _repeated(table: PublishedTable) -> str:
    key = ", ".join(table.key)
    return f"""
    CREATE TEMPORARY TABLE repeated_{table.name} AS
    SELECT {key}, count(*) AS records FROM staged_{table.name} GROUP BY {key} HAVING count(*) > 1
    """


_DECISIONS = f"""
SELECT source_partition, source_offset FROM {DECIDED_VOTES} AS decided_votes
UNION ALL SELECT source_partition, source_offset FROM {DECIDED_REJECTIONS} AS decided_rejections
"""

_READ = """
SELECT b.record_partition, b.record_offset FROM staged_ballots b
JOIN watermarks w ON w.partition = b.record_partition WHERE b.record_offset < w.decided
"""

_DECISION_MISMATCHES = f"""
CREATE TEMPORARY TABLE mismatched_decisions AS
SELECT coalesce(b.record_partition, d.source_partition) AS partition,
       coalesce(b.record_offset, d.source_offset) AS record_offset,
       d.source_offset IS NOT NULL AS is_decided
FROM ({_READ}) b FULL JOIN ({_DECISIONS}) d
     ON b.record_partition = d.source_partition AND b.record_offset = d.source_offset
WHERE b.record_offset IS NULL OR d.source_offset IS NULL
"""


def find_mismatches(conn: psycopg.Connection) -> None:
    """Create the tables of mismatches."""
    for table in (VOTES, REJECTIONS):
        conn.execute(_mismatches(table).encode())
        conn.execute(_repeated(table).encode())
    conn.execute(_DECISION_MISMATCHES.encode())


def check_published(conn: psycopg.Connection, findings: Findings, table: PublishedTable) -> int:
    """Compare a table with its topic, record by record.

    Returns:
        The number of records on the topic beyond the first of each row.
    """

    def mismatch(row: Row) -> Difference:
        if not row["is_stored"]:
            detail = f"only on {table.topic}"
        elif not row["is_published"]:
            detail = "only in postgres"
        else:
            detail = unequal_fields(row, table.fields, "published_", f"on {table.topic}")
        numbers = {"postgres": int(row["is_stored"]), table.topic: int(row["is_published"])}
        return Difference(table.figure.format_map(row), numbers, detail)

    def repeated(row: Row) -> Difference:
        numbers = {table.topic: row["records"], "allowed": 1}
        return Difference(table.repeated_figure.format_map(row), numbers)

    mismatches = f"mismatched_{table.name} WHERE is_published OR NOT in_flight"
    repeated_records = f"repeated_{table.name}"
    add_rows(conn, findings, table.kind, mismatches, table.key, mismatch)
    add_rows(conn, findings, table.repeated_kind, repeated_records, table.key, repeated)
    return select_number(conn, repeated_records, "coalesce(sum(records) - count(*), 0)")


def check_decisions(
    conn: psycopg.Connection, findings: Findings, voters_topic_id: str, ends: Mapping[int, int]
) -> None:
    """Compare the records of `voters_topic` below the watermark with the decisions on them.

    `ends` is the end of each partition, read after the transaction began. A decision on a record
    beyond it is an error.
    """
    numbers = {
        "voters_topic": _count_by_partition(conn, f"({_READ}) AS b", "record_partition"),
        "postgres": _count_by_partition(conn, f"({_DECISIONS}) AS d", "source_partition"),
    }
    detail = "read, and accepted or rejected, up to the published progress"
    figure = "records of voters_topic, partition {}"
    findings.add("records", compare_groups(figure, numbers, detail))

    def mismatch(row: Row) -> Difference:
        decided = bool(row["is_decided"])
        return Difference(
            f"record {row['partition']}@{row['record_offset']}",
            {"voters_topic": int(not decided), "postgres": int(decided)},
            "a decision without a record" if decided else "no decision",
        )

    def twice(row: Row) -> Difference:
        return Difference(
            f"decisions on record {_SOURCE_RECORD.format_map(row)}", {"postgres": 2, "allowed": 1}
        )

    def foreign(row: Row) -> Difference:
        return Difference(
            f"decision on record {_SOURCE_RECORD.format_map(row)}",
            {"voters_topic": 0, "postgres": 1},
            "not a record of the present voters_topic",
        )

    order = ["partition", "record_offset"]
    add_rows(conn, findings, "record", "mismatched_decisions", order, mismatch)
    source_columns = ", ".join(_SOURCE)
    source = f"(SELECT {source_columns} FROM votes JOIN rejections USING ({source_columns})) AS d"
    add_rows(conn, findings, "record decided twice", source, _SOURCE, twice)
    values = {"partitions": list(ends), "ends": list(ends.values()), "topic": voters_topic_id}
    for table in ("votes", "rejections"):
        source = (
            f"{table} LEFT JOIN unnest(%(partitions)s::integer[], %(ends)s::bigint[])"
            " AS log (partition, log_end) ON log.partition = source_partition"
            " WHERE source_topic_id <> %(topic)s OR source_offset >= coalesce(log_end, 0)"
        )
        add_rows(conn, findings, "decision on no record", source, _SOURCE, foreign, values)


def records_in_flight(conn: psycopg.Connection) -> int:
    """Return the number of records of `voters_topic` beyond the checkpoints."""
    return select_number(
        conn,
        "staged_ballots b LEFT JOIN watermarks w ON w.partition = b.record_partition"
        " WHERE b.record_offset >= coalesce(least(w.votes, w.rejections), 0)",
    )


def add_rows(
    conn: psycopg.Connection,
    findings: Findings,
    kind: str,
    source: str,
    order: Sequence[str],
    describe: Callable[[Row], Difference],
    values: Mapping[str, Any] | None = None,
) -> None:
    """Add every row of a FROM operand to the findings, the first ones as differences.

    `values` are the parameters in `source`.
    """
    number = select_number(conn, source, values=values)
    if not number:
        return
    with conn.cursor(row_factory=dict_row) as cursor:
        query = f"SELECT * FROM {source} ORDER BY {', '.join(order)} LIMIT {MAX_NAMED}"
        cursor.execute(query.encode(), values)
        findings.add(kind, map(describe, cursor), number)


def unequal_fields(row: Row, fields: Sequence[str], prefix: str, where: str) -> str:
    """Return the fields of a row that differ from those with a prefix, which are from `where`."""
    return "; ".join(
        f"{field}: {row[field]} in postgres, {row[prefix + field]} {where}"
        for field in fields
        if row[field] != row[prefix + field]
    )


def _count_by_partition(conn: psycopg.Connection, source: str, column: str) -> dict[int, int]:
    rows = conn.execute(f"SELECT {column}, count(*) FROM {source} GROUP BY {column}".encode())
    return dict(rows.fetchall())
