"""Publishing results from a running system.

Kafka and PostgreSQL share no snapshot. Therefore the state of Kafka is read, then a snapshot of the
tables, then the state of Kafka again. If nothing is in flight either time and the offsets are the
same, the snapshot holds exactly the records that Kafka shows as decided, published and counted.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path

import attrs
import psycopg
from confluent_kafka.admin import AdminClient

from voting_core.database.incidents import Incident, unresolved_incidents
from voting_core.exceptions import FatalError
from voting_core.operator.coverage import Coverage
from voting_core.operator.evidence import find_unproven_totals, record_evidence
from voting_core.operator.reconcile import reconcile
from voting_core.operator.results.bundle import Bundle, check_unused, new_directory, write_bundle
from voting_core.operator.results.database_snapshot import DatabaseSnapshot, open_snapshot
from voting_core.operator.results.exceptions import RefusedError
from voting_core.operator.results.model import Canvass, Election, ResultsStatus
from voting_core.operator.results.verify import verify_bundle
from voting_core.operator.status import KafkaStatus, kafka_status
from voting_core.operator.vote_counts import stored_votes
from voting_core.service.settings import KafkaSettings

MAX_DIFFERENCES = 20
MAX_INCIDENTS = 20


@attrs.frozen(kw_only=True)
class ElectionOptions:
    """The operator's description of the election; see `Election`.

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
        """Return the election; without a day, it has the voting days, or today without votes."""
        first, last = (self.day, self.day) if self.day else voting_days or (today, today)
        fields = attrs.asdict(self, filter=attrs.filters.exclude("day"))
        fields["issuer_abbreviation"] = (
            self.issuer_abbreviation or "".join(word[0] for word in self.issuer.split()).upper()
        )
        return Election(**fields, start_date=first, end_date=last)


def certify(
    settings: KafkaSettings,
    admin: AdminClient,
    conn: psycopg.Connection,
    options: ElectionOptions,
    out: Path,
) -> Bundle:
    """Write certified results to a directory that is empty or does not exist.

    Raises:
        RefusedError: Something is in flight, the data stores disagree, a total is not proven by
            the votes, a record is foreign, or an incident is unresolved.
        InputError: The directory cannot be written.
    """
    check_unused(out)
    before = kafka_status(settings, admin)
    unproven = find_unproven_totals(conn, before.sums)
    problem = record_evidence(conn, unproven, before.foreign)
    if reasons := _refusals(before, unproven, unresolved_incidents(conn), stored_votes(conn)):
        raise RefusedError([*reasons, problem] if problem else reasons)
    reconciled = _reconciled_votes(settings, admin, conn)
    with new_directory(out) as directory:
        with open_snapshot(conn) as snapshot:
            if not _is_settled(before, kafka_status(settings, admin), snapshot):
                raise RefusedError(["the count continued meanwhile"])
            bundle = _write(directory, options, snapshot, before.coverage, ResultsStatus.CERTIFIED)
        if dict(bundle.totals.by_location) != dict(reconciled):
            raise RefusedError(["the votes changed meanwhile"])
        _check_verifies(directory, bundle)
    return bundle


def export(
    settings: KafkaSettings,
    admin: AdminClient,
    conn: psycopg.Connection,
    options: ElectionOptions,
    out: Path,
) -> Bundle:
    """Write the current results, uncertified, to a directory that is empty or does not exist.

    Raises:
        InputError: The directory cannot be written.
    """
    with new_directory(out) as directory:
        before = kafka_status(settings, admin)
        with open_snapshot(conn) as snapshot:
            settled = _is_settled(before, kafka_status(settings, admin), snapshot)
            status = (
                ResultsStatus.UNOFFICIAL_COMPLETE if settled else ResultsStatus.UNOFFICIAL_PARTIAL
            )
            bundle = _write(directory, options, snapshot, before.coverage, status)
        _check_verifies(directory, bundle)
    return bundle


def _refusals(
    status: KafkaStatus, unproven: Mapping[str, str], incidents: Sequence[Incident], votes: int
) -> list[str]:
    """Return why the results cannot be certified, before the data stores are compared."""
    reasons = [f"{topic}: {what}" for topic, what in unproven.items()]
    if status.foreign:
        reasons.append(f"records that the services did not write: {status.foreign}")
    reasons += [
        f"incident {each.incident_id} is unresolved: {each.kind} on {each.subject}: {each.detail}"
        for each in incidents[:MAX_INCIDENTS]
    ]
    if len(incidents) > MAX_INCIDENTS:
        reasons.append(f"and {len(incidents) - MAX_INCIDENTS:,} more incidents")
    return reasons + status.in_flight_reasons(votes)


def _reconciled_votes(
    settings: KafkaSettings, admin: AdminClient, conn: psycopg.Connection
) -> Mapping[tuple[str, str], int]:
    """Return the votes by location and candidate_id on which all data stores agree.

    Raises:
        RefusedError: The data stores disagree, or something is in flight.
    """
    found = reconcile(settings, admin, conn)
    reasons = [
        f"{each.figure}: {', '.join(f'{n:,} in {store}' for store, n in each.found.items())}"
        for each in found.differences
    ]
    if reasons:
        more = len(reasons) + sum(found.omitted.values()) - MAX_DIFFERENCES
        rest = [f"and {more:,} more; `voting reconcile` shows them"] if more > 0 else []
        raise RefusedError([*reasons[:MAX_DIFFERENCES], *rest])
    if found.in_flight:
        raise RefusedError([f"in flight: {found.in_flight}"])
    return found.counts["postgres"].candidates_by_location


def _is_settled(before: KafkaStatus, after: KafkaStatus, snapshot: DatabaseSnapshot) -> bool:
    return before.coverage == after.coverage and not (
        before.in_flight_reasons(snapshot.votes) or after.in_flight_reasons(snapshot.votes)
    )


def _write(
    directory: Path,
    options: ElectionOptions,
    snapshot: DatabaseSnapshot,
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


def _check_verifies(directory: Path, bundle: Bundle) -> None:
    """Check that a bundle can be verified, before its directory gets its name.

    Raises:
        FatalError: The bundle does not verify.
    """
    if defects := verify_bundle(directory, bundle.manifest_sha256).defects:
        raise FatalError(f"the bundle that was written does not verify: {defects[0]}")
