"""One reconciliation: read everything in the order that makes the comparison right, and compare."""

from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import psycopg
from confluent_kafka.admin import AdminClient

from voting_core import topics
from voting_core.aggregates import RegressedTotal
from voting_core.database import voter_register
from voting_core.kafka import offset_ranges, read_checkpoints, read_to_end, topic_ids
from voting_core.operator.counts import Count, count_rejections, count_votes, names_of
from voting_core.operator.reconcile import checks
from voting_core.operator.reconcile.agreement import (
    Places,
    check_counts,
    check_names,
    check_reasons,
)
from voting_core.operator.reconcile.difference import Difference, Findings
from voting_core.operator.reconcile.recount import RECOUNT_TABLES, check_recount
from voting_core.operator.reconcile.tallies import Tallies, log_ends, read_tallies, settled
from voting_core.operator.reconcile.verdict import InFlight, Reconciliation
from voting_core.operator.reconcile.watermark import partition_watermarks, store_watermarks
from voting_core.operator.staging import (
    StagedRecords,
    StagedVotes,
    stage_ballots,
    stage_places,
    stage_rejections,
    stage_votes,
    temporary_tables,
)
from voting_core.rules import ChoiceDraw, PollingHours
from voting_core.service.settings import DrawSettings, KafkaSettings

__all__ = ["Recount", "reconcile"]

TABLES = (
    "watermarks",
    "tallied",
    "staged_ballots",
    "staged_votes",
    "staged_rejections",
    *checks.MISMATCHES,
    *RECOUNT_TABLES,
)

_UNTALLIED = (
    "staged_votes s LEFT JOIN tallied t ON t.partition = s.record_partition"
    " WHERE s.record_offset > coalesce(t.{column}, -1)"
)


@attrs.frozen
class Recount:
    """The rules that ballots are recounted by.

    Attributes:
        draw: How a choice is drawn for a ballot that brings none.
        hours: When ballots count.
    """

    draw: DrawSettings
    hours: PollingHours


@attrs.frozen
class _Staged:
    """What was read from Kafka."""

    tallies: Tallies
    still: bool
    ballots: StagedRecords
    votes: StagedVotes
    rejections: StagedRecords
    voters_topic_id: str


def reconcile(
    settings: KafkaSettings,
    admin: AdminClient,
    conn: psycopg.Connection,
    *,
    recount: Recount | None = None,
    patience: float = 10.0,
) -> Reconciliation:
    """Compare all places that hold votes or rejections, while the count runs or after it.

    Args:
        settings: Where Kafka is.
        admin: A connection to the same.
        conn: A connection in autocommit mode, outside of any transaction; what is read goes into
            its temporary tables, so that memory does not grow with the votes.
        recount: Count the ballots again by these rules, and compare that too.
        patience: Seconds without change after which aggregates that do not fit are taken as they
            are, instead of as being written.
    """
    with temporary_tables(conn, *TABLES):
        staged = _read_kafka(settings, admin, conn, recount, patience)
        with _unchanging(conn):
            return _compare(admin, conn, staged, deep=recount is not None)


@contextmanager
def _unchanging(conn: psycopg.Connection) -> Iterator[None]:
    """Show the tables as they are at one moment."""
    before = conn.isolation_level
    conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    try:
        with conn.transaction():
            # Enough to join millions of rows in few passes, and no more for billions.
            conn.execute("SET LOCAL work_mem = '64MB'")
            conn.execute("SET LOCAL jit = off")
            yield
    finally:
        if not conn.closed:
            conn.isolation_level = before


def _read_kafka(
    settings: KafkaSettings,
    admin: AdminClient,
    conn: psycopg.Connection,
    recount: Recount | None,
    patience: float,
) -> _Staged:
    ids = topic_ids(admin, (topics.VOTERS, topics.VOTES, topics.REJECTED_VOTES))
    voters_id, votes_id, rejected_id = (
        ids[topic.name] for topic in (topics.VOTERS, topics.VOTES, topics.REJECTED_VOTES)
    )

    # Totals and progress first, so that what they count is found on the logs.
    tallies, still = settled(lambda: read_tallies(settings, admin, votes_id), patience)
    starts = {p: span.start for p, span in offset_ranges(admin, topics.VOTERS.name).items()}
    progress = read_checkpoints(settings, admin, voters_id)
    store_watermarks(conn, voters_id, partition_watermarks(starts, progress, votes_id, rejected_id))
    _store_tallied(conn, tallies)
    ballot_records = read_to_end(settings, admin, topics.VOTERS.name)
    if recount is None:
        ballots = stage_places(conn, ballot_records)
    else:
        draw = ChoiceDraw.over(
            voter_register.candidates(conn), recount.draw.seed, recount.draw.weights
        )
        ballots = stage_ballots(conn, ballot_records, draw, recount.hours)
    votes = stage_votes(conn, read_to_end(settings, admin, topics.VOTES.name))
    rejections = stage_rejections(conn, read_to_end(settings, admin, topics.REJECTED_VOTES.name))
    # Sums of half a batch may fit by chance, but by now a stream that was in one has gone on.
    still = still and log_ends(admin) == tallies.ends
    return _Staged(tallies, still, ballots, votes, rejections, voters_id)


def _store_tallied(conn: psycopg.Connection, tallies: Tallies) -> None:
    conn.execute(
        "CREATE TEMPORARY TABLE tallied (partition integer NOT NULL,"
        " last_offset bigint NOT NULL, certain_offset bigint NOT NULL)"
    )
    with conn.cursor().copy("COPY tallied FROM STDIN") as copy:
        for partition, tally in tallies.partitions.items():
            copy.write_row((partition, tally.last_offset, tally.certain_offset))


def _compare(
    admin: AdminClient, conn: psycopg.Connection, staged: _Staged, *, deep: bool
) -> Reconciliation:
    findings = Findings()
    _check_readable(staged, findings)
    # The tables' moment begins with this.
    checks.find_mismatches(conn)
    ends = {p: span.end for p, span in offset_ranges(admin, topics.VOTERS.name).items()}
    repeated = checks.check_votes(conn, findings)
    checks.check_rejections(conn, findings)
    checks.check_decisions(conn, findings, staged.voters_topic_id, ends)

    candidates = {
        c.candidate_id: (c.candidate_id, c.candidate_name, c.party_affiliation)
        for c in voter_register.candidates(conn).values()
    }
    names = names_of(candidates.values())
    topic_names = names_of(staged.votes.candidates)
    tallies = staged.tallies

    def untallied(column: str) -> Count:
        return count_votes(conn, _UNTALLIED.format(column=column), topic_names)

    places = Places(
        postgres=count_votes(conn, "votes", names),
        unpublished=count_votes(conn, checks.UNPUBLISHED_VOTES, names),
        votes_topic=count_votes(conn, "staged_votes", topic_names, repeated),
        untallied=untallied("last_offset"),
        uncertain=untallied("certain_offset"),
        tallies=tallies,
        still=staged.still,
    )
    writing = check_counts(places, findings)
    check_names(candidates, "votes_topic", staged.votes.candidates, findings)
    check_names(candidates, "aggregates", dict.fromkeys(tallies.candidates, 1), findings)
    if staged.still:
        findings.add("last total", map(_regressed, tallies.regressed))
    _check_partitions(conn, tallies, findings)

    counts = {
        "postgres": places.postgres,
        "votes_topic": places.votes_topic,
        "aggregates": tallies.count,
    }
    rejected = {
        "postgres": count_rejections(conn),
        "rejected_votes_topic": checks.published_rejections(conn),
    }
    waiting = checks.unpublished_rejections(conn)
    check_reasons(
        {
            "postgres": {r: n - waiting.get(r, 0) for r, n in rejected["postgres"].items()},
            "rejected_votes_topic": rejected["rejected_votes_topic"],
        },
        findings,
    )
    if deep:
        counts["recount"], rejected["recount"] = check_recount(conn, places.postgres, findings)
    return Reconciliation(
        records=staged.ballots.records,
        counts=counts,
        rejected=rejected,
        in_flight=InFlight(
            records=checks.records_in_flight(conn),
            votes=places.unpublished.votes,
            rejections=sum(waiting.values()),
            untallied=places.untallied.votes,
            writing=writing or (bool(tallies.regressed) and not staged.still),
        ),
        differences=findings.named,
        omitted=findings.omitted,
    )


def _check_readable(staged: _Staged, findings: Findings) -> None:
    for topic, records in (
        (topics.VOTES.name, staged.votes),
        (topics.REJECTED_VOTES.name, staged.rejections),
    ):
        found = (
            Difference(f"record {each.partition(': ')[0]}", {topic: 1, "allowed": 0}, each)
            for each in records.examples
        )
        findings.add(f"unreadable on {topic}", found, records.unreadable)
    findings.add(
        "unreadable total",
        (
            Difference("unreadable total", {"aggregates": 1, "allowed": 0}, each)
            for each in staged.tallies.unreadable
        ),
    )


def _regressed(total: RegressedTotal) -> Difference:
    return Difference(
        f"{total.topic}, key {total.key.decode(errors='replace')}",
        {"last total": total.last, "highest total": total.highest},
    )


def _check_partitions(conn: psycopg.Connection, tallies: Tallies, findings: Findings) -> None:
    """Compare what aggregated_progress counts in each partition; one record says both."""
    rows = conn.execute(
        "SELECT record_partition, count(*) FROM staged_votes s"
        " JOIN tallied t ON t.partition = s.record_partition AND s.record_offset <= t.last_offset"
        " GROUP BY record_partition"
    )
    found: dict[int, int] = dict(rows.fetchall())
    findings.add(
        "aggregated_progress",
        (
            Difference(
                f"votes of partition {partition} up to offset {tally.last_offset}",
                {"votes_topic": found.get(partition, 0), "aggregated_progress": tally.votes},
            )
            for partition, tally in sorted(tallies.partitions.items())
            if found.get(partition, 0) != tally.votes
        ),
    )
