"""A reconciliation: read all data stores in an order that allows comparing them, and compare."""

import attrs
import psycopg
from confluent_kafka.admin import AdminClient

from voting_core import topics
from voting_core.aggregates import RegressedTotal
from voting_core.database import repeatable_read, voter_register
from voting_core.election import Election
from voting_core.foreign import ForeignRecord, ForeignRecords
from voting_core.kafka import (
    offset_ranges,
    read_checkpoints,
    read_published_elections,
    read_to_end,
    topic_ids,
)
from voting_core.operator.reconcile import record_checks
from voting_core.operator.reconcile.aggregate_totals import (
    AggregateTotals,
    aggregate_ends,
    read_totals,
    settled,
)
from voting_core.operator.reconcile.count_checks import (
    StoreCounts,
    check_counts,
    check_names,
    check_reasons,
)
from voting_core.operator.reconcile.differences import Difference, Findings
from voting_core.operator.reconcile.outcome import InFlight, Reconciliation
from voting_core.operator.reconcile.recount import check_recount
from voting_core.operator.reconcile.watermark import partition_watermarks, store_watermarks
from voting_core.operator.staging import (
    StagedRecords,
    StagedVotes,
    stage_ballots,
    stage_positions,
    stage_rejections,
    stage_votes,
    temporary_tables,
)
from voting_core.operator.vote_counts import (
    VoteCounts,
    candidate_names,
    count_rejections,
    count_votes,
)
from voting_core.rules import ChoiceDraw
from voting_core.service.settings import KafkaSettings

_UNTALLIED = (
    "staged_votes s LEFT JOIN tallied t ON t.partition = s.record_partition"
    " WHERE s.record_offset > coalesce(t.{column}, -1)"
)


@attrs.frozen
class _KafkaContents:
    """What was read from Kafka; the records themselves are staged."""

    totals: AggregateTotals
    settled: bool
    ballots: StagedRecords
    votes: StagedVotes
    rejections: StagedRecords
    voters_topic_id: str
    foreign: ForeignRecords


def reconcile(
    settings: KafkaSettings,
    admin: AdminClient,
    conn: psycopg.Connection,
    *,
    recount: Election | None = None,
    timeout: float = 10.0,
) -> Reconciliation:
    """Compare all data stores with votes or rejections, during the count or after it.

    Records are staged in temporary tables, so that memory does not grow with the number of votes.
    The connection is in autocommit mode; all its temporary tables are dropped at the end.

    Aggregates that are incomplete, but have not changed for `timeout` seconds, are compared as they
    are. Others are treated as being written. The ballots are recounted by the rules of `recount`.
    """
    with temporary_tables(conn):
        contents = _read_kafka(settings, admin, conn, recount, timeout)
        with repeatable_read(conn):
            # Allows joins of millions of rows in few passes.
            conn.execute("SET LOCAL work_mem = '64MB'")
            conn.execute("SET LOCAL jit = off")
            return _compare(admin, conn, contents, recount)


def _read_kafka(
    settings: KafkaSettings,
    admin: AdminClient,
    conn: psycopg.Connection,
    recount: Election | None,
    timeout: float,
) -> _KafkaContents:
    logs = (topics.VOTERS, topics.VOTES, topics.REJECTED_VOTES)
    ids = topic_ids(admin, logs)
    voters_id, votes_id, rejected_id = (ids[topic.name] for topic in logs)

    # The totals and checkpoints come first, so that the logs contain everything they cover.
    totals, is_settled = settled(lambda: read_totals(settings, admin, votes_id), timeout)
    partitions = offset_ranges(admin, topics.VOTERS.name)
    checkpoints = read_checkpoints(settings, admin, ids)
    elections = read_published_elections(settings, admin)
    watermarks = partition_watermarks(partitions, checkpoints.present, votes_id, rejected_id)
    store_watermarks(conn, voters_id, watermarks)
    _store_tallied(conn, totals)
    ballot_records = read_to_end(settings, admin, topics.VOTERS.name)
    if recount is None:
        ballots = stage_positions(conn, ballot_records)
    else:
        rules = recount.rules
        draw = ChoiceDraw.over(voter_register.candidates(conn), rules.draw_seed, rules.draw_weights)
        ballots = stage_ballots(conn, ballot_records, recount, draw)
    votes = stage_votes(conn, read_to_end(settings, admin, topics.VOTES.name), votes_id)
    rejections = stage_rejections(
        conn, read_to_end(settings, admin, topics.REJECTED_VOTES.name), rejected_id
    )
    # The totals of a part of a batch can add up by coincidence, but not without a successor.
    is_settled = is_settled and aggregate_ends(admin) == totals.ends
    foreign = ForeignRecords()
    for found in (elections, checkpoints, totals, votes, rejections):
        foreign.update(found.foreign)
    return _KafkaContents(
        totals,
        is_settled,
        ballots,
        votes,
        rejections,
        voters_id,
        foreign=foreign,
    )


def _store_tallied(conn: psycopg.Connection, totals: AggregateTotals) -> None:
    conn.execute(
        "CREATE TEMPORARY TABLE tallied (partition integer NOT NULL,"
        " last_offset bigint NOT NULL, certain_offset bigint NOT NULL)"
    )
    with conn.cursor().copy("COPY tallied FROM STDIN") as copy:
        for partition, progress in totals.partitions.items():
            copy.write_row((partition, progress.last_offset, progress.certain_offset))


def _compare(
    admin: AdminClient,
    conn: psycopg.Connection,
    contents: _KafkaContents,
    recount: Election | None,
) -> Reconciliation:
    findings = Findings()
    totals = contents.totals
    findings.add("foreign record", map(_foreign, contents.foreign.first), contents.foreign.number)
    # The first statement of the transaction determines which state of the tables it sees.
    record_checks.find_mismatches(conn)
    ends = {p: offsets.end for p, offsets in offset_ranges(admin, topics.VOTERS.name).items()}
    repeated = record_checks.check_published(conn, findings, record_checks.VOTES)
    record_checks.check_published(conn, findings, record_checks.REJECTIONS)
    record_checks.check_decisions(conn, findings, contents.voters_topic_id, ends)

    candidates = {
        c.candidate_id: (c.candidate_id, c.candidate_name, c.party_affiliation)
        for c in voter_register.candidates(conn).values()
    }
    stores = _count(conn, contents, candidate_names(candidates.values()), repeated)
    writing = check_counts(stores, findings)
    check_names(candidates, "votes_topic", contents.votes.candidates, findings)
    check_names(candidates, "aggregates", dict.fromkeys(totals.candidates, 1), findings)
    if contents.settled:
        findings.add("last total", map(_regressed, totals.regressed))
    _check_partitions(conn, totals, findings)

    counts = {
        "postgres": stores.postgres,
        "votes_topic": stores.votes_topic,
        "aggregates": totals.counts,
    }
    rejected = {
        "postgres": count_rejections(conn),
        "rejected_votes_topic": count_rejections(conn, "staged_rejections"),
    }
    unpublished = count_rejections(conn, record_checks.REJECTIONS.unpublished)
    published = {r: n - unpublished.get(r, 0) for r, n in rejected["postgres"].items()}
    check_reasons({**rejected, "postgres": published}, findings)
    if recount is not None:
        counts["recount"], rejected["recount"] = check_recount(
            conn, recount, stores.postgres, findings
        )
    return Reconciliation(
        records=contents.ballots.records,
        counts=counts,
        rejected=rejected,
        in_flight=InFlight(
            records=record_checks.records_in_flight(conn),
            votes=stores.unpublished.votes,
            rejections=sum(unpublished.values()),
            untallied=stores.untallied.votes,
            writing=writing or (bool(totals.regressed) and not contents.settled),
        ),
        differences=findings.named,
        omitted=findings.omitted,
        foreign=contents.foreign,
        sums=totals.sums,
    )


def _count(
    conn: psycopg.Connection, contents: _KafkaContents, names: dict[str, str], repeated: int
) -> StoreCounts:
    topic_names = candidate_names(contents.votes.candidates)

    def untallied(column: str) -> VoteCounts:
        return count_votes(conn, _UNTALLIED.format(column=column), topic_names)

    return StoreCounts(
        postgres=count_votes(conn, "votes", names),
        unpublished=count_votes(conn, record_checks.VOTES.unpublished, names),
        votes_topic=count_votes(conn, "staged_votes", topic_names, repeated),
        untallied=untallied("last_offset"),
        uncertain=untallied("certain_offset"),
        aggregates=contents.totals,
        settled=contents.settled,
    )


def _foreign(record: ForeignRecord) -> Difference:
    return Difference(
        f"record {record.partition}@{record.offset} of {record.topic}",
        {record.topic: 1, "allowed": 0},
        record.reason,
    )


def _regressed(total: RegressedTotal) -> Difference:
    return Difference(
        f"{total.topic}, key {total.key.decode(errors='replace')}",
        {"last total": total.last, "highest total": total.highest},
    )


def _check_partitions(
    conn: psycopg.Connection, totals: AggregateTotals, findings: Findings
) -> None:
    """Compare the counts of `aggregated_progress` with the records up to its last offsets."""
    rows = conn.execute(
        "SELECT record_partition, count(*) FROM staged_votes s"
        " JOIN tallied t ON t.partition = s.record_partition AND s.record_offset <= t.last_offset"
        " GROUP BY record_partition"
    )
    published: dict[int, int] = dict(rows.fetchall())
    found = (
        Difference(
            f"votes of partition {partition} up to offset {progress.last_offset}",
            {"votes_topic": published.get(partition, 0), "aggregated_progress": progress.votes},
        )
        for partition, progress in sorted(totals.partitions.items())
    )
    findings.add("aggregated_progress", (each for each in found if each.is_unequal))
