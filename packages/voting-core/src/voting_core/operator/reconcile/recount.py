"""Recounting the ballots in SQL, from `voters_topic`, the register and the rules.

The rules, in the order in which they are applied: the ballot is well-formed and not from before the
election; it was cast in polling hours; the voter is registered; the voter was of age on the day of
the ballot in UTC; in a live election, the ballot has a choice; the choice, or the one drawn, is a
candidate. Any valid ballot of a voter may be the one that counts, which the
table `votes` determines; the others are rejected as `already_voted`.

The recount uses the current register and candidates. Decisions used those of their time, so a
register that has changed since appears as a disagreement.
"""

from typing import Any

import psycopg

from voting_core.election import Election
from voting_core.models import Reason
from voting_core.operator.reconcile.differences import (
    Difference,
    Findings,
    compare_counts,
    compare_groups,
)
from voting_core.operator.reconcile.record_checks import add_rows, columns, unequal_fields
from voting_core.operator.reconcile.watermark import DECIDED_REJECTIONS, DECIDED_VOTES
from voting_core.operator.vote_counts import (
    VoteCounts,
    count_rejections,
    count_votes,
    select_number,
)

Row = dict[str, Any]

_FIELDS = ("voter_id", "candidate_id", "state", "gender", "age", "voting_time")

# Dates are compared as numbers YYYYMMDD: a difference in units of 10000 is the age in completed
# years, for a birth on 29 February as well.
_RECOUNTED = f"""
CREATE TEMPORARY TABLE recounted AS
SELECT record_partition, record_offset, b.voter_id, b.choice AS candidate_id, b.voting_time,
       r.address_state AS state, r.gender, r.age,
       CASE WHEN b.voter_id IS NULL THEN '{Reason.MALFORMED}'
            WHEN b.is_outside_hours THEN '{Reason.OUTSIDE_HOURS}'
            WHEN r.age IS NULL THEN '{Reason.UNREGISTERED}'
            WHEN r.age < %(voting_age)s THEN '{Reason.UNDERAGE}'
            WHEN b.is_without_choice AND %(is_live)s THEN '{Reason.NO_CHOICE}'
            WHEN k.candidate_id IS NULL THEN '{Reason.UNKNOWN_CANDIDATE}' END AS reason
FROM staged_ballots b
     JOIN watermarks w ON w.partition = b.record_partition AND b.record_offset < w.decided
     LEFT JOIN LATERAL (
         SELECT v.address_state, v.gender,
                (to_char(b.voting_time AT TIME ZONE 'UTC', 'YYYYMMDD')::integer
                 - to_char(v.date_of_birth, 'YYYYMMDD')::integer) / 10000 AS age
         FROM voters v WHERE v.voter_id = b.voter_id) r ON true
     LEFT JOIN candidates k ON k.candidate_id = b.choice
"""

_SAME_RECORD = "r.record_partition = d.source_partition AND r.record_offset = d.source_offset"

_WRONG_VOTES = f"""
CREATE TEMPORARY TABLE wrong_votes AS
SELECT r.record_partition, r.record_offset, r.reason,
       {columns("d", _FIELDS)}, {columns("r", _FIELDS, "recounted_")}
FROM {DECIDED_VOTES} d JOIN recounted r ON {_SAME_RECORD}
WHERE r.reason IS NOT NULL
   OR ({columns("d", _FIELDS)}) IS DISTINCT FROM ({columns("r", _FIELDS)})
"""

# The first valid ballot of each voter without a vote.
_UNCOUNTED = """
CREATE TEMPORARY TABLE uncounted AS
SELECT DISTINCT ON (voter_id) r.* FROM recounted r
WHERE reason IS NULL AND NOT EXISTS (SELECT FROM votes v WHERE v.voter_id = r.voter_id)
ORDER BY voter_id, record_partition, record_offset
"""

# A valid ballot may be rejected only if another ballot of the voter counts, which the coordinates
# of the voter's vote identify.
_WRONG_REJECTIONS = f"""
CREATE TEMPORARY TABLE wrong_rejections AS
SELECT r.record_partition, r.record_offset, d.reason, d.voter_id,
       coalesce(r.reason, CASE WHEN v.voter_id IS NULL THEN 'a valid vote'
                               ELSE '{Reason.ALREADY_VOTED}' END) AS recounted,
       r.voter_id AS recounted_voter_id
FROM {DECIDED_REJECTIONS} d JOIN recounted r ON {_SAME_RECORD}
     LEFT JOIN votes v ON v.voter_id = r.voter_id
          AND (v.source_topic_id, v.source_partition, v.source_offset)
              IS DISTINCT FROM (d.source_topic_id, d.source_partition, d.source_offset)
WHERE d.voter_id IS DISTINCT FROM r.voter_id
   OR d.reason <> coalesce(r.reason, CASE WHEN v.voter_id IS NOT NULL
                                          THEN '{Reason.ALREADY_VOTED}' ELSE '' END)
"""


def check_recount(
    conn: psycopg.Connection, election: Election, postgres: VoteCounts, findings: Findings
) -> tuple[VoteCounts, dict[str, int]]:
    """Recount the staged ballots below the watermark, and check every decision on them.

    Requires the tables `staged_ballots`, by `stage_ballots`, and `watermarks`.

    Returns:
        The correct counts of votes, and of rejections by reason.
    """
    rules = {"voting_age": election.rules.voting_age, "is_live": election.is_live}
    with psycopg.ClientCursor(conn) as cursor:
        # PostgreSQL accepts no parameters in CREATE TABLE AS, so the client inserts them.
        cursor.execute(_RECOUNTED.encode(), rules)
    for statement in ("ANALYZE recounted", _WRONG_VOTES, _UNCOUNTED, _WRONG_REJECTIONS):
        conn.execute(statement.encode())
    order = ["record_partition", "record_offset"]
    add_rows(conn, findings, "recounted vote", "wrong_votes", order, _wrong_vote)
    add_rows(conn, findings, "valid ballot without a vote", "uncounted", ["voter_id"], _uncounted)
    kind = "recounted rejection"
    add_rows(conn, findings, kind, "wrong_rejections", order, _wrong_rejection)

    counted = (
        "(SELECT r.candidate_id, r.state, r.gender, r.age, r.voting_time"
        f" FROM {DECIDED_VOTES} d JOIN recounted r ON {_SAME_RECORD} WHERE r.reason IS NULL) AS r"
    )
    undecided = (
        "votes v JOIN watermarks w ON w.topic_id = v.source_topic_id"
        " AND w.partition = v.source_partition AND v.source_offset >= w.decided"
    )
    recount = count_votes(conn, counted, postgres.names).plus(
        count_votes(conn, "uncounted", postgres.names)
    )
    stored = postgres.minus(count_votes(conn, undecided, postgres.names))
    for kind, difference in compare_counts({"postgres": stored, "recount": recount}):
        findings.add(f"recount: {kind}", [difference])

    rejected = count_rejections(conn, "recounted WHERE reason IS NOT NULL")
    valid = select_number(conn, "recounted WHERE reason IS NULL")
    if repeated := valid - recount.votes:
        rejected[Reason.ALREADY_VOTED.value] = repeated
    reasons = {
        "postgres": count_rejections(conn, f"{DECIDED_REJECTIONS} AS d"),
        "recount": rejected,
    }
    findings.add("recount: rejected", compare_groups("rejected: {}", reasons))
    return recount, rejected


def _wrong_vote(row: Row) -> Difference:
    figure = f"vote of {_ballot(row)}"
    if row["reason"] is not None:
        return Difference(figure, {"postgres": 1, "recount": 0}, f"the ballot: {row['reason']}")
    detail = unequal_fields(row, _FIELDS, "recounted_", "recounted")
    return Difference(figure, {"postgres": 1, "recount": 1}, detail)


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
    record = f"record {row['record_partition']}@{row['record_offset']}"
    return f"{record} by voter {row['voter_id']}" if row["voter_id"] is not None else record
