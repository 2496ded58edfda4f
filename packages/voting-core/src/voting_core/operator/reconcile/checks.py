"""Comparing the tables with the staged topics, record by record, in SQL.

Each check leaves what does not match in a temporary table, which is empty when all is well, counts
it, and names the first of it. They run in one transaction, so the tables stand still meanwhile.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

from voting_core.operator.reconcile.difference import NAMED, Difference, Findings

__all__ = [
    "MISMATCHES",
    "UNPUBLISHED_VOTES",
    "check_decisions",
    "check_rejections",
    "check_votes",
    "find_mismatches",
    "name_rows",
    "number_of",
    "published_rejections",
    "records_in_flight",
    "unpublished_rejections",
]

Row = dict[str, Any]

MISMATCHES = (
    "vote_mismatches",
    "repeated_votes",
    "rejection_mismatches",
    "repeated_rejections",
    "decision_mismatches",
)
"""The tables that the checks create."""

UNPUBLISHED_VOTES = "vote_mismatches WHERE NOT is_published AND may_wait"
"""Stored votes that are merely not published yet, for `count_votes`."""

VOTE_FIELDS = ("candidate_id", "state", "gender", "age", "voting_time")
REJECTION_FIELDS = (
    "voter_id",
    "reason",
    "detail",
    "record_time",
    "record_size",
    "record_sha256",
)

# The only topic whose records can still be on their way; decisions on the records of a topic that
# is gone are not.
_CURRENT = "(SELECT min(topic_id) FROM watermarks)"

_VOTE_MISMATCHES = f"""
CREATE TEMPORARY TABLE vote_mismatches AS
SELECT voter_id, v.voter_id IS NOT NULL AS is_stored, s.voter_id IS NOT NULL AS is_published,
       v.source_topic_id = {_CURRENT} AND v.source_offset >= coalesce(c.votes, 0) AS may_wait,
       {", ".join(f"v.{field}" for field in VOTE_FIELDS)},
       {", ".join(f"s.{field} AS published_{field}" for field in VOTE_FIELDS)}
FROM votes v FULL JOIN staged_votes s USING (voter_id)
     LEFT JOIN watermarks c ON c.topic_id = v.source_topic_id AND c.partition = v.source_partition
WHERE ({", ".join(f"v.{field}" for field in VOTE_FIELDS)})
      IS DISTINCT FROM ({", ".join(f"s.{field}" for field in VOTE_FIELDS)})
"""

_REPEATED_VOTES = """
CREATE TEMPORARY TABLE repeated_votes AS
SELECT voter_id, count(*) AS records FROM staged_votes GROUP BY voter_id HAVING count(*) > 1
"""

_REJECTION_MISMATCHES = f"""
CREATE TEMPORARY TABLE rejection_mismatches AS
SELECT source_topic_id, source_partition, source_offset,
       r.reason IS NOT NULL AS is_stored, s.reason IS NOT NULL AS is_published,
       source_topic_id = {_CURRENT} AND source_offset >= coalesce(c.rejections, 0) AS may_wait,
       {", ".join(f"r.{field}" for field in REJECTION_FIELDS)},
       {", ".join(f"s.{field} AS published_{field}" for field in REJECTION_FIELDS)}
FROM (SELECT source_topic_id, source_partition::bigint, source_offset, voter_id, reason, detail,
             date_trunc('milliseconds', record_time) AS record_time, record_size::bigint,
             encode(record_sha256, 'hex') AS record_sha256
      FROM rejections) r
     FULL JOIN staged_rejections s USING (source_topic_id, source_partition, source_offset)
     LEFT JOIN watermarks c ON c.topic_id = source_topic_id AND c.partition = source_partition
WHERE ({", ".join(f"r.{field}" for field in REJECTION_FIELDS)})
      IS DISTINCT FROM ({", ".join(f"s.{field}" for field in REJECTION_FIELDS)})
"""

_SOURCE = ("source_topic_id", "source_partition", "source_offset")

_REPEATED_REJECTIONS = f"""
CREATE TEMPORARY TABLE repeated_rejections AS
SELECT {", ".join(_SOURCE)}, count(*) AS records FROM staged_rejections
GROUP BY {", ".join(_SOURCE)} HAVING count(*) > 1
"""

_DECIDED = """
SELECT d.source_partition, d.source_offset FROM {table} d
JOIN watermarks c ON c.topic_id = d.source_topic_id AND c.partition = d.source_partition
WHERE d.source_offset < c.decided
"""

_DECISIONS = f"{_DECIDED.format(table='votes')} UNION ALL {_DECIDED.format(table='rejections')}"

_READ = """
SELECT b.record_partition, b.record_offset FROM staged_ballots b
JOIN watermarks c ON c.partition = b.record_partition WHERE b.record_offset < c.decided
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
    """Create the tables of what does not match."""
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
        How many records `votes_topic` has beyond the first of a voter.
    """

    def mismatch(row: Row) -> Difference:
        return Difference(
            f"voter {row['voter_id']}",
            {"postgres": int(row["is_stored"]), "votes_topic": int(row["is_published"])},
            _detail(row, VOTE_FIELDS, "votes_topic"),
        )

    def repeated(row: Row) -> Difference:
        return Difference(
            f"records of voter {row['voter_id']}", {"votes_topic": row["records"], "allowed": 1}
        )

    source = "vote_mismatches WHERE is_published OR NOT may_wait"
    name_rows(conn, findings, "voter", source, ["voter_id"], mismatch)
    kind = "voter twice on votes_topic"
    name_rows(conn, findings, kind, "repeated_votes", ["voter_id"], repeated)
    return number_of(conn, "repeated_votes", "coalesce(sum(records) - count(*), 0)")


def check_rejections(conn: psycopg.Connection, findings: Findings) -> None:
    """Compare the table `rejections` with `rejected_votes_topic`, record by record."""

    def mismatch(row: Row) -> Difference:
        return Difference(
            f"rejection of record {_record(row)}",
            {"postgres": int(row["is_stored"]), "rejected_votes_topic": int(row["is_published"])},
            _detail(row, REJECTION_FIELDS, "rejected_votes_topic"),
        )

    def repeated(row: Row) -> Difference:
        return Difference(
            f"rejections of record {_record(row)}",
            {"rejected_votes_topic": row["records"], "allowed": 1},
        )

    source = "rejection_mismatches WHERE is_published OR NOT may_wait"
    name_rows(conn, findings, "rejection", source, _SOURCE, mismatch)
    kind = "record twice on rejected_votes_topic"
    name_rows(conn, findings, kind, "repeated_rejections", _SOURCE, repeated)


def check_decisions(
    conn: psycopg.Connection, findings: Findings, voters_topic_id: str, ends: Mapping[int, int]
) -> None:
    """Compare the records of `voters_topic` below the watermark with the decisions on them.

    Args:
        conn: The connection.
        findings: Where to put what differs.
        voters_topic_id: Id of the topic.
        ends: The end of each partition, asked after the transaction has begun: a decision on
            a record beyond cannot be.
    """
    read = _by_partition(conn, f"({_READ}) AS b", "record_partition")
    decided = _by_partition(conn, f"({_DECISIONS}) AS d", "source_partition")
    findings.add(
        "records",
        (
            Difference(
                f"records of voters_topic, partition {partition}",
                {"voters_topic": read.get(partition, 0), "postgres": decided.get(partition, 0)},
                "read, and accepted or rejected, up to the published progress",
            )
            for partition in sorted(read.keys() | decided.keys())
            if read.get(partition, 0) != decided.get(partition, 0)
        ),
    )

    def mismatch(row: Row) -> Difference:
        decided = bool(row["is_decided"])
        return Difference(
            f"record {row['partition']}@{row['record_offset']}",
            {"voters_topic": int(not decided), "postgres": int(decided)},
            "a decision without a record" if decided else "no decision",
        )

    def twice(row: Row) -> Difference:
        return Difference(f"decisions on record {_record(row)}", {"postgres": 2, "allowed": 1})

    def foreign(row: Row) -> Difference:
        return Difference(
            f"decision on record {_record(row)}",
            {"voters_topic": 0, "postgres": 1},
            "not a record of the present voters_topic",
        )

    order = ["partition", "record_offset"]
    name_rows(conn, findings, "record", "decision_mismatches", order, mismatch)
    columns = ", ".join(_SOURCE)
    source = f"(SELECT {columns} FROM votes JOIN rejections USING ({columns})) AS twice"
    name_rows(conn, findings, "record decided twice", source, _SOURCE, twice)
    values = {"partitions": list(ends), "ends": list(ends.values()), "topic": voters_topic_id}
    for table in ("votes", "rejections"):
        source = (
            f"{table} LEFT JOIN unnest(%(partitions)s::integer[], %(ends)s::bigint[])"
            " AS log (partition, log_end) ON log.partition = source_partition"
            " WHERE source_topic_id <> %(topic)s OR source_offset >= coalesce(log_end, 0)"
        )
        name_rows(conn, findings, "decision on no record", source, _SOURCE, foreign, values)


def unpublished_rejections(conn: psycopg.Connection) -> dict[str, int]:
    """Count the stored rejections that are merely not published yet, by reason."""
    rows = conn.execute(
        "SELECT reason, count(*) FROM rejection_mismatches WHERE NOT is_published AND may_wait"
        " GROUP BY reason"
    )
    return dict(rows.fetchall())


def published_rejections(conn: psycopg.Connection) -> dict[str, int]:
    """Count `rejected_votes_topic` by reason."""
    rows = conn.execute(
        "SELECT reason, count(*) FROM staged_rejections GROUP BY reason ORDER BY reason"
    )
    return dict(rows.fetchall())


def records_in_flight(conn: psycopg.Connection) -> int:
    """Count the records of `voters_topic` beyond the published progress."""
    return number_of(
        conn,
        "staged_ballots b LEFT JOIN watermarks c ON c.partition = b.record_partition"
        " WHERE b.record_offset >= coalesce(least(c.votes, c.rejections), 0)",
    )


def name_rows(
    conn: psycopg.Connection,
    findings: Findings,
    kind: str,
    source: str,
    order: Sequence[str],
    difference: Callable[[Row], Difference],
    values: Mapping[str, Any] | None = None,
) -> None:
    """Take in every row of a source as a difference, the first by name.

    Args:
        conn: The connection.
        findings: Where to put them.
        kind: What they have in common.
        source: What stands after FROM, with parameters.
        order: Columns whose order says which are first.
        difference: Says a row as a difference.
        values: The parameters.
    """
    number = number_of(conn, source, values=values)
    if not number:
        return
    with conn.cursor(row_factory=dict_row) as cursor:
        query = f"SELECT * FROM {source} ORDER BY {', '.join(order)} LIMIT {NAMED}"
        cursor.execute(query.encode(), values)
        findings.add(kind, map(difference, cursor), number)


def number_of(
    conn: psycopg.Connection,
    source: str,
    number: str = "count(*)",
    values: Mapping[str, Any] | None = None,
) -> int:
    """Return a number computed over the rows of a source; by default how many they are."""
    row = conn.execute(f"SELECT {number} FROM {source}".encode(), values).fetchone()
    return int(row[0]) if row else 0


def _by_partition(conn: psycopg.Connection, source: str, column: str) -> dict[int, int]:
    rows = conn.execute(f"SELECT {column}, count(*) FROM {source} GROUP BY {column}".encode())
    return dict(rows.fetchall())


def _record(row: Row) -> str:
    return f"{row['source_topic_id']} {row['source_partition']}@{row['source_offset']}"


def _detail(row: Row, fields: tuple[str, ...], topic: str) -> str:
    if not row["is_stored"]:
        return f"only on {topic}"
    if not row["is_published"]:
        return "only in postgres"
    return "; ".join(
        f"{field}: {row[field]} in postgres, {row[f'published_{field}']} on {topic}"
        for field in fields
        if row[field] != row[f"published_{field}"]
    )
