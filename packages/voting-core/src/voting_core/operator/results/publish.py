"""Drawing results up from a running system.

Kafka and PostgreSQL share no snapshot. So Kafka is asked how far the count is, the tables are read
as of one moment, and Kafka is asked again: nothing in flight both times, and the same offsets, mean
that the tables of that moment hold exactly the records that Kafka says are decided, published and
tallied.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path

import attrs
import psycopg
from confluent_kafka.admin import AdminClient

from voting_core import topics
from voting_core.aggregates import AggregateView
from voting_core.checkpoint import decode_checkpoint
from voting_core.exceptions import FatalError
from voting_core.kafka import read_to_end, topic_ids
from voting_core.operator.reconcile import reconcile
from voting_core.operator.results.bundle import Bundle, new_directory, see_unused, write_bundle
from voting_core.operator.results.exceptions import RefusedError
from voting_core.operator.results.manifest import Coverage, PublishedPartition
from voting_core.operator.results.model import Canvass, Election, ResultsStatus
from voting_core.operator.results.snapshot import Snapshot, open_snapshot
from voting_core.operator.results.verify import verify_bundle
from voting_core.operator.status import Flow, pipeline_flow, pipeline_status
from voting_core.service.settings import KafkaSettings

__all__ = ["ElectionOptions", "certify", "export", "in_flight_reasons"]

SHOWN_DIFFERENCES = 20


@attrs.frozen(kw_only=True)
class ElectionOptions:
    """What the operator says of the election; see `Election`.

    Attributes:
        day: Day of the election, or None for the days on which votes were cast.
        issuer_abbreviation: None for the initials of the issuer.
    """

    name: str
    contest: str
    type: str
    day: date | None
    issuer: str
    issuer_abbreviation: str | None
    jurisdiction: str
    jurisdiction_type: str
    location_type: str
    is_test: bool

    def election(self, voting_days: tuple[date, date] | None, today: date) -> Election:
        """Fill in what was left open.

        Args:
            voting_days: Days of the first and the last vote, None without votes.
            today: The day to take when there is neither a date nor a vote.
        """
        first, last = (self.day, self.day) if self.day else voting_days or (today, today)
        initials = "".join(word[0] for word in self.issuer.split()).upper()
        return Election(
            name=self.name,
            contest=self.contest,
            type=self.type,
            start_date=first,
            end_date=last,
            issuer=self.issuer,
            issuer_abbreviation=self.issuer_abbreviation or initials,
            jurisdiction=self.jurisdiction,
            jurisdiction_type=self.jurisdiction_type,
            location_type=self.location_type,
            is_test=self.is_test,
        )


@attrs.frozen
class _Moment:
    """How far Kafka says that the count is."""

    flow: Flow
    coverage: Coverage


def certify(
    settings: KafkaSettings,
    admin: AdminClient,
    conn: psycopg.Connection,
    options: ElectionOptions,
    out: Path,
) -> Bundle:
    """Write certified results.

    Args:
        settings: Where Kafka is.
        admin: A connection to the same.
        conn: A connection in autocommit mode.
        options: What is said of the election.
        out: The bundle's directory, which must be empty or not exist.

    Raises:
        RefusedError: Something is in flight, or the places that hold the votes disagree.
        InputError: The directory cannot be written.
    """
    see_unused(out)
    before = _moment(settings, admin)
    votes = pipeline_status(settings, admin, conn).votes
    if reasons := in_flight_reasons(before.flow, votes):
        raise RefusedError(reasons)
    reconciled = _reconcile(settings, admin, conn)
    with new_directory(out) as directory:
        with open_snapshot(conn) as snapshot:
            if not _is_settled(before, _moment(settings, admin), snapshot):
                raise RefusedError(["the count went on meanwhile"])
            bundle = _write(directory, options, snapshot, before.coverage, ResultsStatus.CERTIFIED)
        if dict(bundle.tally.by_location) != dict(reconciled):
            raise RefusedError(["the votes changed meanwhile"])
        _see_sound(directory, bundle)
    return bundle


def _reconcile(
    settings: KafkaSettings, admin: AdminClient, conn: psycopg.Connection
) -> Mapping[tuple[str, str], int]:
    """Return the votes by location and candidate_id on which every place agrees.

    Raises:
        RefusedError: They disagree, or something is in flight.
    """
    found = reconcile(settings, admin, conn)
    reasons = [
        f"{each.figure}: {', '.join(f'{n:,} in {place}' for place, n in each.found.items())}"
        for each in found.differences
    ]
    if reasons:
        more = len(reasons) + sum(found.omitted.values()) - SHOWN_DIFFERENCES
        rest = [f"and {more:,} more; `voting reconcile` shows them"] if more > 0 else []
        raise RefusedError([*reasons[:SHOWN_DIFFERENCES], *rest])
    if found.in_flight:
        raise RefusedError([f"in flight: {found.in_flight}"])
    return found.counts["postgres"].candidates_by_location


def export(
    settings: KafkaSettings,
    admin: AdminClient,
    conn: psycopg.Connection,
    options: ElectionOptions,
    out: Path,
) -> Bundle:
    """Write the results as they are now, uncertified; arguments are those of `certify`.

    Raises:
        InputError: The directory cannot be written.
    """
    with new_directory(out) as directory:
        before = _moment(settings, admin)
        with open_snapshot(conn) as snapshot:
            settled = _is_settled(before, _moment(settings, admin), snapshot)
            status = (
                ResultsStatus.UNOFFICIAL_COMPLETE if settled else ResultsStatus.UNOFFICIAL_PARTIAL
            )
            bundle = _write(directory, options, snapshot, before.coverage, status)
        _see_sound(directory, bundle)
    return bundle


def in_flight_reasons(flow: Flow, votes: int) -> list[str]:
    """Return what is still on its way.

    Args:
        flow: How far Kafka says that the count is.
        votes: Votes in the database.
    """
    reasons = []
    if flow.waiting:
        reasons.append(f"{flow.waiting:,} records of voters_topic wait to be decided and published")
    if flow.tallied != votes:
        reasons.append(f"the aggregates count {flow.tallied:,} votes, the database has {votes:,}")
    return reasons


def _moment(settings: KafkaSettings, admin: AdminClient) -> _Moment:
    # In this order: what the flow waits for no more is then in the coverage.
    flow = pipeline_flow(settings, admin)
    return _Moment(flow, _coverage(settings, admin))


def _coverage(settings: KafkaSettings, admin: AdminClient) -> Coverage:
    votes_topic_id = topic_ids(admin, [topics.VOTES])[topics.VOTES.name]
    next_offsets = {}
    for message in read_to_end(settings, admin, topics.VOTING_PROGRESS.name):
        progress = decode_checkpoint(message.value())
        next_offsets[progress.voters_topic_id, progress.partition] = progress.next_offset
    view = AggregateView(votes_topic_id)
    topic = topics.AGGREGATED_PROGRESS.name
    for message in read_to_end(settings, admin, topic):
        view.apply(topic, message.key() or b"", message.value() or b"")
    published = [
        PublishedPartition(row["partition"], row["total_votes"], row["last_offset"])
        for row in view.rows(topic)
    ]
    return Coverage(
        next_offsets, votes_topic_id, tuple(sorted(published, key=lambda each: each.partition))
    )


def _is_settled(before: _Moment, after: _Moment, snapshot: Snapshot) -> bool:
    return before.coverage == after.coverage and not (
        in_flight_reasons(before.flow, snapshot.votes)
        or in_flight_reasons(after.flow, snapshot.votes)
    )


def _write(
    directory: Path,
    options: ElectionOptions,
    snapshot: Snapshot,
    coverage: Coverage,
    status: ResultsStatus,
) -> Bundle:
    now = datetime.now(UTC).replace(microsecond=0)
    canvass = Canvass(
        election=options.election(snapshot.voting_days, now.date()),
        status=status,
        created=now,
        software=f"voting-core {version('voting-core')}",
        candidates=snapshot.candidates,
        registered=snapshot.registered,
        rejections=snapshot.rejections,
    )
    return write_bundle(directory, canvass, snapshot.logged_votes(), snapshot.rejected, coverage)


def _see_sound(directory: Path, bundle: Bundle) -> None:
    """See that what was written can be verified, before it gets its name.

    Raises:
        FatalError: It cannot.
    """
    if faults := verify_bundle(directory, bundle.manifest_sha256).faults:
        raise FatalError(f"the bundle that was written does not verify: {faults[0]}")
