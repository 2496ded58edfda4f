"""Counting the ballots again, set-wise in SQL: from `voters_topic`, the register and the rules.

The rules, in the order in which a ballot can break them: it is well-formed; it was cast in polling
hours; its voter is registered; the voter was of age on the day of the ballot in UTC; its choice,
or the one drawn, is a candidate. Any one of a voter's valid ballots may be the one that counts, and
`votes` names it; the others are rejected for that the voter has voted.

Register and candidates are taken as they are now. A decision was made on what they were then, so a
register changed since shows up as a disagreement.
"""

from typing import Any

import psycopg

from voting_core.models import Reason
from voting_core.operator.counts import Count, count_votes
from voting_core.operator.reconcile.checks import name_rows, number_of
from voting_core.operator.reconcile.difference import Difference, Findings, each_figure
from voting_core.rules import VOTING_AGE

__all__ = ["RECOUNT_TABLES", "check_recount"]

RECOUNT_TABLES = ("recounted", "uncounted", "wrong_votes", "wrong_rejections")
"""The tables that the recount creates."""

Row = dict[str, Any]

_FIELDS = ("voter_id", "candidate_id", "state", "gender", "age", "voting_time")

# Dates as whole numbers YYYYMMDD: their difference in units of 10000 is the completed years, also
# for who is born on a 29th of February.
_RECOUNTED = f"""
CREATE TEMPORARY TABLE recounted AS
SELECT record_partition, record_offset, b.voter_id, b.choice AS candidate_id, b.voting_time,
       r.address_state AS state, r.gender, r.age,
       CASE WHEN b.voter_id IS NULL THEN '{Reason.MALFORMED}'
            WHEN b.is_outside_hours THEN '{Reason.OUTSIDE_HOURS}'
            WHEN r.age IS NULL THEN '{Reason.UNREGISTERED}'
            WHEN r.age < {VOTING_AGE} THEN '{Reason.UNDERAGE}'
            WHEN k.candidate_id IS NULL THEN '{Reason.UNKNOWN_CANDIDATE}' END AS reason
FROM staged_ballots b
     JOIN watermarks c ON c.partition = b.record_partition AND b.record_offset < c.decided
     LEFT JOIN LATERAL (
         SELECT v.address_state, v.gender,
                (to_char(b.voting_time AT TIME ZONE 'UTC', 'YYYYMMDD')::integer
                 - to_char(v.date_of_birth, 'YYYYMMDD')::integer) / 10000 AS age
         FROM voters v WHERE v.voter_id = b.voter_id) r ON true
     LEFT JOIN candidates k ON k.candidate_id = b.choice
"""

# The decisions on the records that are recounted.
_DECIDED = """
(SELECT d.* FROM {table} d JOIN watermarks c ON c.topic_id = d.source_topic_id
 AND c.partition = d.source_partition AND d.source_offset < c.decided)
"""
_VOTES = _DECIDED.format(table="votes")
_REJECTIONS = _DECIDED.format(table="rejections")

_SAME_RECORD = "r.record_partition = d.source_partition AND r.record_offset = d.source_offset"

_WRONG_VOTES = f"""
CREATE TEMPORARY TABLE wrong_votes AS
SELECT r.record_partition, r.record_offset, r.reason,
       {", ".join(f"d.{field}" for field in _FIELDS)},
       {", ".join(f"r.{field} AS recounted_{field}" for field in _FIELDS)}
FROM {_VOTES} d JOIN recounted r ON {_SAME_RECORD}
WHERE r.reason IS NOT NULL
   OR ({", ".join(f"d.{field}" for field in _FIELDS)})
      IS DISTINCT FROM ({", ".join(f"r.{field}" for field in _FIELDS)})
"""

# One ballot, the first, of each voter who has valid ballots and no vote.
_UNCOUNTED = """
CREATE TEMPORARY TABLE uncounted AS
SELECT DISTINCT ON (voter_id) r.* FROM recounted r
WHERE reason IS NULL AND NOT EXISTS (SELECT FROM votes v WHERE v.voter_id = r.voter_id)
ORDER BY voter_id, record_partition, record_offset
"""

# A valid ballot may be rejected only if another ballot of its voter counts; which one that is, the
# vote says by its coordinates, and no record has two decisions.
_WRONG_REJECTIONS = f"""
CREATE TEMPORARY TABLE wrong_rejections AS
SELECT r.record_partition, r.record_offset, d.reason, d.voter_id,
       coalesce(r.reason, CASE WHEN v.voter_id IS NULL THEN 'a valid vote'
                               ELSE '{Reason.ALREADY_VOTED}' END) AS recounted,
       r.voter_id AS recounted_voter_id
FROM {_REJECTIONS} d JOIN recounted r ON {_SAME_RECORD}
     LEFT JOIN votes v ON v.voter_id = r.voter_id
          AND (v.source_topic_id, v.source_partition, v.source_offset)
              IS DISTINCT FROM (d.source_topic_id, d.source_partition, d.source_offset)
WHERE d.voter_id IS DISTINCT FROM r.voter_id
   OR d.reason <> coalesce(r.reason, CASE WHEN v.voter_id IS NOT NULL
                                          THEN '{Reason.ALREADY_VOTED}' ELSE '' END)
"""


def check_recount(
    conn: psycopg.Connection, postgres: Count, findings: Findings
) -> tuple[Count, dict[str, int]]:
    """Recount the staged ballots below the watermark, and compare every decision on them.

    Args:
        conn: A connection with the tables `staged_ballots`, by `stage_ballots`, and `watermarks`.
        postgres: The table `votes`.
        findings: Where to put what differs.

    Returns:
        The votes, and the number of rejections by reason, as they should be.
    """
    for statement in (
        _RECOUNTED,
        "ANALYZE recounted",
        _WRONG_VOTES,
        _UNCOUNTED,
        _WRONG_REJECTIONS,
    ):
        conn.execute(statement.encode())
    place = ["record_partition", "record_offset"]
    name_rows(conn, findings, "recounted vote", "wrong_votes", place, _wrong_vote)
    name_rows(conn, findings, "valid ballot without a vote", "uncounted", ["voter_id"], _uncounted)
    kind = "recounted rejection"
    name_rows(conn, findings, kind, "wrong_rejections", place, _wrong_rejection)

    valid = "recounted r WHERE r.reason IS NULL"
    named = (
        "(SELECT r.candidate_id, r.state, r.gender, r.age, r.voting_time"
        f" FROM {_VOTES} d JOIN recounted r ON {_SAME_RECORD} WHERE r.reason IS NULL) AS named"
    )
    counted = count_votes(conn, named, postgres.names)
    missed = count_votes(conn, "uncounted", postgres.names)
    recount = counted.plus(missed)
    undecided = count_votes(
        conn,
        "votes v JOIN watermarks c ON c.topic_id = v.source_topic_id"
        " AND c.partition = v.source_partition AND v.source_offset >= c.decided",
        postgres.names,
    )
    stored = {"postgres": postgres.minus(undecided), "recount": recount}
    for kind, figure, found in each_figure(stored):
        if len(set(found.values())) > 1:
            findings.add(f"recount: {kind}", [Difference(figure, found)])

    rows = conn.execute(
        "SELECT reason, count(*) FROM recounted WHERE reason IS NOT NULL GROUP BY reason"
    )
    rejected = dict(rows.fetchall())
    if repeated := number_of(conn, valid) - recount.votes:
        rejected[Reason.ALREADY_VOTED.value] = repeated
    _check_reasons(conn, rejected, findings)
    return recount, rejected


def _check_reasons(conn: psycopg.Connection, recounted: dict[str, int], findings: Findings) -> None:
    rows = conn.execute(f"SELECT reason, count(*) FROM {_REJECTIONS} d GROUP BY reason".encode())
    stored: dict[str, int] = dict(rows.fetchall())
    findings.add(
        "recount: rejected",
        (
            Difference(
                f"rejected: {reason}",
                {"postgres": stored.get(reason, 0), "recount": recounted.get(reason, 0)},
            )
            for reason in sorted(stored.keys() | recounted.keys())
            if stored.get(reason, 0) != recounted.get(reason, 0)
        ),
    )


def _wrong_vote(row: Row) -> Difference:
    if row["reason"] is not None:
        return Difference(
            f"vote of {_ballot(row)}", {"postgres": 1, "recount": 0}, f"the ballot: {row['reason']}"
        )
    detail = "; ".join(
        f"{field}: {row[field]} in postgres, {row[f'recounted_{field}']} recounted"
        for field in _FIELDS
        if row[field] != row[f"recounted_{field}"]
    )
    return Difference(f"vote of {_ballot(row)}", {"postgres": 1, "recount": 1}, detail)


def _uncounted(row: Row) -> Difference:
    return Difference(
        f"vote of {_ballot(row)}",
        {"postgres": 0, "recount": 1},
        "the voter has a valid ballot and no vote",
    )


def _wrong_rejection(row: Row) -> Difference:
    is_valid = row["recounted"] == "a valid vote"
    detail = f"{row['reason']} in postgres, {row['recounted']} recounted"
    if row["voter_id"] != row["recounted_voter_id"]:
        detail += f"; the record's voter is {row['recounted_voter_id']}"
    return Difference(
        f"rejection of {_ballot(row)}", {"postgres": 1, "recount": int(not is_valid)}, detail
    )


def _ballot(row: Row) -> str:
    place = f"record {row['record_partition']}@{row['record_offset']}"
    return f"{place} by voter {row['voter_id']}" if row["voter_id"] is not None else place
