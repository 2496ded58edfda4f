"""The conditions for certifying results, and the status of exported ones."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, cast

import attrs
import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from sample_bundle import CANVASS, REJECTED, TOPIC, coverage_of, sample_votes, totals_of

from voting_core.database.incidents import Incident, IncidentKind
from voting_core.exceptions import FatalError
from voting_core.foreign import ForeignRecord
from voting_core.operator import evidence
from voting_core.operator.reconcile import Difference, InFlight, Reconciliation
from voting_core.operator.results import publish
from voting_core.operator.results.bundle import Bundle
from voting_core.operator.results.database_snapshot import DatabaseSnapshot
from voting_core.operator.results.exceptions import RefusedError
from voting_core.operator.results.model import LoggedVote, ResultsStatus
from voting_core.operator.results.publish import ElectionOptions, certify, export
from voting_core.operator.results.verify import verify_bundle
from voting_core.operator.status import KafkaStatus
from voting_core.operator.status.backlog import Backlog, PartitionBacklog
from voting_core.operator.vote_counts import VoteCounts
from voting_core.service.settings import KafkaSettings

OPTIONS = ElectionOptions(
    name="Election",
    contest="Contest",
    type="general",
    day=None,
    issuer="Office of elections",
    issuer_abbreviation=None,
    jurisdiction="All",
    jurisdiction_type="country",
    location_type="state",
    is_test=False,
)
Write = Callable[[KafkaSettings, AdminClient, psycopg.Connection, ElectionOptions, Path], Bundle]


def count_of(votes: list[LoggedVote]) -> VoteCounts:
    """Return the counts of a data store with these votes."""
    totals = totals_of(votes)
    locations = [location for location, _ in totals.by_location.elements()]
    chosen = [candidate for _, candidate in totals.by_location.elements()]
    return VoteCounts(
        votes=len(votes),
        candidates={each: chosen.count(each) for each in set(chosen)},
        locations={each: locations.count(each) for each in set(locations)},
        candidates_by_location=dict(totals.by_location),
        names={c.candidate_id: c.candidate_name for c in CANVASS.candidates},
    )


def status_of(votes: int, waiting: int = 0) -> KafkaStatus:
    """Return the state of Kafka when a number of the sample's votes is counted."""
    backlog = Backlog((PartitionBacklog(0, waiting, 0.0),) if waiting else ())
    return KafkaStatus(coverage=coverage_of(votes), undecided=backlog)


@attrs.define
class System:
    """A drained system after the sample election, which a test changes.

    Attributes:
        states: The state of Kafka, when it is read first and second.
        votes: The table of votes.
        incidents: The unresolved incidents.
        recorded: The topics with an incident that was recorded.
        found: The outcome of a reconciliation.
    """

    states: list[KafkaStatus] = attrs.field(factory=lambda: [status_of(25), status_of(25)])
    votes: list[LoggedVote] = attrs.field(factory=sample_votes)
    incidents: list[Incident] = attrs.field(factory=list)
    recorded: list[str] = attrs.field(factory=list)
    found: Reconciliation = attrs.field(
        factory=lambda: Reconciliation(
            records=25,
            counts={"postgres": count_of(sample_votes())},
            rejected={},
            in_flight=InFlight(),
        )
    )

    def run(self, write: Write, out: Path) -> Bundle:
        """Write results of this system."""
        client = cast(Any, None)
        return write(KafkaSettings(), client, client, OPTIONS, out)

    def kafka_status(self, *_: object) -> KafkaStatus:
        """Replace Kafka."""
        return self.states.pop(0)

    @contextmanager
    def snapshot(self, _: object) -> Iterator[DatabaseSnapshot]:
        """Replace PostgreSQL."""
        yield cast(DatabaseSnapshot, _Tables(self.votes))


@attrs.frozen
class _Tables:
    _votes: list[LoggedVote]
    voting_days = (date(2020, 11, 3), date(2020, 11, 4))
    candidates = CANVASS.candidates
    registered = CANVASS.registered
    rejections = CANVASS.rejections
    rejected = REJECTED

    @property
    def votes(self) -> int:
        return len(self._votes)

    def logged_votes(self) -> Iterator[LoggedVote]:
        return iter(self._votes)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    """A drained system after the sample election."""
    system = System()
    monkeypatch.setattr(publish, "kafka_status", system.kafka_status)
    monkeypatch.setattr(publish, "reconcile", lambda *_: system.found)
    monkeypatch.setattr(publish, "open_snapshot", system.snapshot)
    monkeypatch.setattr(publish, "stored_votes", lambda _: len(system.votes))
    monkeypatch.setattr(evidence, "stored_votes", lambda _: len(system.votes))
    monkeypatch.setattr(
        evidence, "record_incident", lambda _, kind, topic, detail: system.recorded.append(topic)
    )
    monkeypatch.setattr(publish, "unresolved_incidents", lambda _: system.incidents)
    return system


def test_a_drained_count_is_certified(system: System, tmp_path: Path) -> None:
    """If nothing is in flight and all data stores agree, a certified bundle is written."""
    bundle = system.run(certify, tmp_path / "out")
    assert bundle.manifest.status is ResultsStatus.CERTIFIED
    assert bundle.manifest.counts.votes == 25
    assert bundle.manifest.election.issuer_abbreviation == "OOE"
    assert bundle.manifest.election.end_date == date(2020, 11, 4)
    assert not verify_bundle(tmp_path / "out", bundle.manifest_sha256).defects


def waiting(system: System) -> None:
    """Let records wait for a decision."""
    system.states[0] = status_of(25, waiting=7)


def untallied(system: System) -> None:
    """Remove a vote from the aggregates."""
    system.states[0] = status_of(24)


def disagreeing(system: System) -> None:
    """Let the aggregates disagree."""
    difference = Difference("votes", {"postgres": 25, "votes_topic": 25, "aggregates": 24})
    system.found = attrs.evolve(system.found, differences=(difference,))


def unpublished(system: System) -> None:
    """Let a rejection be in flight to its topic."""
    system.found = attrs.evolve(system.found, in_flight=InFlight(rejections=1))


def waiting_later(system: System) -> None:
    """Let a record arrive during the reconciliation."""
    system.states[1] = status_of(25, waiting=1)


def untallied_later(system: System) -> None:
    """Add a vote to the tables after the reconciliation."""
    system.votes = sample_votes(26)


def advanced(system: System) -> None:
    """Let a record be rejected during the reconciliation."""
    coverage = attrs.evolve(coverage_of(25), next_offsets={(TOPIC, 0): 15})
    system.states[1] = KafkaStatus(coverage=coverage)


def replaced(system: System) -> None:
    """Replace a vote in the tables after the reconciliation."""
    other = sample_votes()
    other[0] = attrs.evolve(other[0], location="Utah")
    system.votes = other


def held_back(system: System) -> None:
    """Let a transaction of another client be open."""
    system.states[0] = attrs.evolve(status_of(25), held_back={("voters_topic", 0): 7})


def forged(system: System) -> None:
    """Let another client write a total."""
    topic = "aggregated_votes_per_candidate"
    system.states[0] = attrs.evolve(status_of(25), sums={topic: 1_000})


def foreign(system: System) -> None:
    """Let another client write a record that is no vote."""
    system.states[0].foreign.add(ForeignRecord("votes_topic", 1, 17, "not JSON"))


def incident(system: System) -> None:
    """Let the evidence of an earlier total remain, which is no longer on its topic."""
    system.incidents.append(
        Incident(3, CANVASS.created, IncidentKind.UNPROVEN_TOTALS, "a_topic", "1,000 votes of 25")
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (held_back, "open transaction"),
        (forged, "add up to 1,000 votes, PostgreSQL has 25"),
        (foreign, r"did not write: 1 on votes_topic, first 1@17"),
        (incident, "incident 3 is unresolved"),
        (waiting, "7 records of voters_topic wait"),
        (untallied, "aggregates count 24 votes, the database has 25"),
        (disagreeing, "votes: 25 in postgres, 25 in votes_topic, 24 in aggregates"),
        (unpublished, "in flight: 1 rejections to publish"),
        (waiting_later, "continued"),
        (advanced, "continued"),
        (replaced, "changed"),
    ],
)
def test_certification_is_refused(
    change: Callable[[System], None], reason: str, system: System, tmp_path: Path
) -> None:
    """A refusal contains what is in flight or disagrees, and leaves no bundle."""
    change(system)
    with pytest.raises(RefusedError, match=reason):
        system.run(certify, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_forged_total_is_recorded(system: System, tmp_path: Path) -> None:
    """Compaction removes it from its topic, but not from the incidents."""
    forged(system)
    with pytest.raises(RefusedError):
        system.run(certify, tmp_path / "out")
    assert system.recorded == ["aggregated_votes_per_candidate"]


def test_a_role_that_may_only_read_sees_every_reason(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also that the evidence is not recorded."""

    def refuse(*_: object) -> None:
        raise psycopg.errors.InsufficientPrivilege("permission denied for table incidents")

    monkeypatch.setattr(evidence, "record_incident", refuse)
    forged(system)
    with pytest.raises(RefusedError) as caught:
        system.run(certify, tmp_path / "out")
    first, *_, last = caught.value.reasons
    assert "add up to 1,000 votes" in first
    assert last == "incidents are not recorded: permission denied for table incidents"


def test_the_number_of_reasons_is_limited(system: System, tmp_path: Path) -> None:
    """A refusal contains the first reasons and the number of further ones."""
    many = [Difference(f"candidate {n}", {"postgres": 1, "votes_topic": 0}) for n in range(30)]
    system.found = attrs.evolve(system.found, differences=tuple(many), omitted={"candidate": 70})
    with pytest.raises(RefusedError) as caught:
        system.run(certify, tmp_path / "out")
    assert len(caught.value.reasons) == 21
    assert caught.value.reasons[-1] == "and 80 more; `voting reconcile` shows them"


def test_an_export_of_a_drained_count_is_complete(system: System, tmp_path: Path) -> None:
    """If nothing is in flight, the export is unofficial and complete."""
    bundle = system.run(export, tmp_path / "out")
    assert bundle.manifest.status is ResultsStatus.UNOFFICIAL_COMPLETE
    assert not verify_bundle(tmp_path / "out").defects


@pytest.mark.parametrize("change", [waiting, untallied, waiting_later, untallied_later, advanced])
def test_an_export_during_the_count_is_partial(
    change: Callable[[System], None], system: System, tmp_path: Path
) -> None:
    """If anything is in flight before or after the tables are read, the results are partial."""
    change(system)
    bundle = system.run(export, tmp_path / "out")
    assert bundle.manifest.status is ResultsStatus.UNOFFICIAL_PARTIAL
    assert not verify_bundle(tmp_path / "out").defects


def test_a_bundle_that_does_not_verify_is_discarded(system: System, tmp_path: Path) -> None:
    """Tables that violate a rule, such as one vote per voter, give no bundle."""
    system.votes = sorted([*sample_votes(24), sample_votes(1)[0]], key=lambda vote: vote.voter_id)
    with pytest.raises(FatalError, match="second time"):
        system.run(export, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_date_replaces_the_days_of_the_votes() -> None:
    """The operator's date precedes the days of the votes, which precede today."""
    today, days = date(2024, 1, 1), (date(2020, 1, 1), date(2020, 1, 2))
    chosen = attrs.evolve(OPTIONS, day=date(2020, 11, 3)).election(days, today)
    assert (chosen.start_date, chosen.end_date) == (date(2020, 11, 3), date(2020, 11, 3))
    voted = OPTIONS.election(days, today)
    assert (voted.start_date, voted.end_date) == days
    assert OPTIONS.election(None, today).start_date == today
