"""Comparing the tables with the staged topics, record by record, in SQL.

Each check stores mismatches in a temporary table, which is empty if there are none, counts them,
and reports the first ones. All checks run in one transaction and see one state of the tables.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

from voting_core.operator.reconcile.differences import (
    MAX_NAMED,
    Difference,
    Findings,
    compare_groups,
)
from voting_core.operator.reconcile.watermark import DECIDED_REJECTIONS, DECIDED_VOTES

Row = dict[str, Any]

MISMATCH_TABLES = (
    "vote_mismatches",
    "repeated_votes",
    "rejection_mismatches",
    "repeated_rejections",
    "decision_mismatches",
)
"""The tables that the checks create."""

UNPUBLISHED_VOTES = "vote_mismatches WHERE NOT is_published AND in_flight"
"""The stored votes in flight to `votes_topic`, as a FROM operand."""
UNPUBLISHED_REJECTIONS = "rejection_mismatches WHERE NOT is_published AND in_flight"
"""The stored rejections in flight to `rejected_votes_topic`, as a FROM operand."""

_VOTE_FIELDS = ("candidate_id", "state", "gender", "age", "voting_time")
_REJECTION_FIELDS = (
    "voter_id",
    "reason",
    "detail",
    "record_time",
    "record_size",
    "record_sha256",
)


def columns(alias: str, fields: Sequence[str], prefix: str = "") -> str:
    """Return a select list of an alias's columns, renamed with a prefix if there is one."""
    names = [f" AS {prefix}{field}" if prefix else "" for field in fields]
    return ", ".join(f"{alias}.{field}{name}" for field, name in zip(fields, names, strict=True))


# Only decisions on the current voters_topic can be in flight, not those on its predecessors.
_CURRENT = "(SELECT min(topic_id) FROM watermarks)"

_VOTE_MISMATCHES = f"""
CREATE TEMPORARY TABLE vote_mismatches AS
SELECT voter_id, v.voter_id IS NOT NULL AS is_stored, s.voter_id IS NOT NULL AS is_published,
       v.source_topic_id = {_CURRENT} AND v.source_offset >= coalesce(w.votes, 0) AS in_flight,
       {columns("v", _VOTE_FIELDS)}, {columns("s", _VOTE_FIELDS, "published_")}
FROM votes v FULL JOIN staged_votes s USING (voter_id)
     LEFT JOIN watermarks w ON w.topic_id = v.source_topic_id AND w.partition = v.source_partition
WHERE ({columns("v", _VOTE_FIELDS)}) IS DISTINCT FROM ({columns("s", _VOTE_FIELDS)})
"""

_REPEATED_VOTES = """
CREATE TEMPORARY TABLE repeated_votes AS
SELECT voter_id, count(*) AS records FROM staged_votes GROUP BY voter_id HAVING count(*) > 1
"""

_REJECTION_MISMATCHES = f"""
CREATE TEMPORARY TABLE rejection_mismatches AS
SELECT source_topic_id, source_partition, source_offset,
       r.reason IS NOT NULL AS is_stored, s.reason IS NOT NULL AS is_published,
       source_topic_id = {_CURRENT} AND source_offset >= coalesce(w.rejections, 0) AS in_flight,
       {columns("r", _REJECTION_FIELDS)}, {columns("s", _REJECTION_FIELDS, "published_")}
FROM (SELECT source_topic_id, source_partition::bigint, source_offset, voter_id, reason, detail,
             date_trunc('milliseconds', record_time) AS record_time, record_size::bigint,
             encode(record_sha256, 'hex') AS record_sha256
      FROM rejections) r
     FULL JOIN staged_rejections s USING (source_topic_id, source_partition, source_offset)
     LEFT JOIN watermarks w ON w.topic_id = source_topic_id AND w.partition = source_partition
WHERE ({columns("r", _REJECTION_FIELDS)}) IS DISTINCT FROM ({columns("s", _REJECTION_FIELDS)})
"""

_SOURCE = ("source_topic_id", "source_partition", "source_offset")

_REPEATED_REJECTIONS = f"""
CREATE TEMPORARY TABLE repeated_rejections AS
SELECT {", ".join(_SOURCE)}, count(*) AS records FROM staged_rejections
GROUP BY {", ".join(_SOURCE)} HAVING count(*) > 1
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
CREATE TEMPORARY TABLE decision_mismatches AS
SELECT coalesce(b.record_partition, d.source_partition) AS partition,
       coalesce(b.record_offset, d.source_offset) AS record_offset,
       d.source_offset IS NOT NULL AS is_decided
FROM ({_READ}) b FULL JOIN ({_DECISIONS}) d
     ON b.record_partition = d.source_partition AND b.record_offset = d.source_offset
WHERE b.record_offset IS NULL OR d.source_offset IS NULL
"""


def find_mismatches(conn: psycopg.Connection) -> None:
    """Create the tables of mismatches."""
    for statement in (
        _VOTE_MISMATCHES,
        _REPEATED_VOTES,
        _REJECTION_MISMATCHES,
        _REPEATED_REJECTIONS,
        _DECISION_MISMATCHES,
    ):
        conn.execute(statement.encode())


def check_votes(conn: psycopg.Connection, findings: Findings) -> int:
    """Compare the table `votes` with `votes_topic`, voter by voter.

    Returns:
        The number of records on `votes_topic` beyond the first of each voter.
    """

    def mismatch(row: Row) -> Difference:
        return Difference(
            f"voter {row['voter_id']}",
            {"postgres": int(row["is_stored"]), "votes_topic": int(row["is_published"])},
            _mismatch_detail(row, _VOTE_FIELDS, "votes_topic"),
        )

    def repeated(row: Row) -> Difference:
        return Difference(
            f"records of voter {row['voter_id']}", {"votes_topic": row["records"], "allowed": 1}
        )

    source = "vote_mismatches WHERE is_published OR NOT in_flight"
    add_rows(conn, findings, "voter", source, ["voter_id"], mismatch)
    kind = "voter twice on votes_topic"
    add_rows(conn, findings, kind, "repeated_votes", ["voter_id"], repeated)
    return select_number(conn, "repeated_votes", "coalesce(sum(records) - count(*), 0)")


def check_rejections(conn: psycopg.Connection, findings: Findings) -> None:
    """Compare the table `rejections` with `rejected_votes_topic`, record by record."""

    def mismatch(row: Row) -> Difference:
        return Difference(
            f"rejection of record {_source_record(row)}",
            {"postgres": int(row["is_stored"]), "rejected_votes_topic": int(row["is_published"])},
            _mismatch_detail(row, _REJECTION_FIELDS, "rejected_votes_topic"),
        )

    def repeated(row: Row) -> Difference:
        return Difference(
            f"rejections of record {_source_record(row)}",
            {"rejected_votes_topic": row["records"], "allowed": 1},
        )

    source = "rejection_mismatches WHERE is_published OR NOT in_flight"
    add_rows(conn, findings, "rejection", source, _SOURCE, mismatch)
    kind = "record twice on rejected_votes_topic"
    add_rows(conn, findings, kind, "repeated_rejections", _SOURCE, repeated)


def check_decisions(
    conn: psycopg.Connection, findings: Findings, voters_topic_id: str, ends: Mapping[int, int]
) -> None:
    """Compare the records of `voters_topic` below the watermark with the decisions on them.

    Args:
        conn: The connection.
        findings: Collects the differences.
        voters_topic_id: Id of the topic.
        ends: The end of each partition, read after the transaction began. A decision on a record
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
            f"decisions on record {_source_record(row)}", {"postgres": 2, "allowed": 1}
        )

    def foreign(row: Row) -> Difference:
        return Difference(
            f"decision on record {_source_record(row)}",
            {"voters_topic": 0, "postgres": 1},
            "not a record of the present voters_topic",
        )

    order = ["partition", "record_offset"]
    add_rows(conn, findings, "record", "decision_mismatches", order, mismatch)
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

    Args:
        conn: The connection.
        findings: Collects the differences.
        kind: What the differences have in common.
        source: The FROM operand, with parameters.
        order: Columns to order the rows by.
        describe: Returns a row as a difference.
        values: The parameters.
    """
    number = select_number(conn, source, values=values)
    if not number:
        return
    with conn.cursor(row_factory=dict_row) as cursor:
        query = f"SELECT * FROM {source} ORDER BY {', '.join(order)} LIMIT {MAX_NAMED}"
        cursor.execute(query.encode(), values)
        findings.add(kind, map(describe, cursor), number)


def select_number(
    conn: psycopg.Connection,
    source: str,
    number: str = "count(*)",
    values: Mapping[str, Any] | None = None,
) -> int:
    """Return an aggregate over a FROM operand; by default, the number of rows."""
    row = conn.execute(f"SELECT {number} FROM {source}".encode(), values).fetchone()
    return int(row[0]) if row else 0


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


def _source_record(row: Row) -> str:
    return f"{row['source_topic_id']} {row['source_partition']}@{row['source_offset']}"


def _mismatch_detail(row: Row, fields: Sequence[str], topic: str) -> str:
    if not row["is_stored"]:
        return f"only on {topic}"
    if not row["is_published"]:
        return "only in postgres"
    return unequal_fields(row, fields, "published_", f"on {topic}")
