"""When results are certified, and with which status they are exported."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, cast

import attrs
import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from sample_bundle import CANVASS, REJECTED, TOPIC, coverage_of, sample_votes, tally_of
from voting_core.operator.counts import Count
from voting_core.operator.results.snapshot import Snapshot

from voting_core.exceptions import FatalError
from voting_core.operator.reconcile import Difference, InFlight, Reconciliation
from voting_core.operator.results import publish
from voting_core.operator.results.bundle import Bundle
from voting_core.operator.results.exceptions import RefusedError
from voting_core.operator.results.manifest import Coverage
from voting_core.operator.results.model import LoggedVote, ResultsStatus
from voting_core.operator.results.publish import ElectionOptions, certify, export
from voting_core.operator.results.verify import verify_bundle
from voting_core.operator.status import Flow, PipelineStatus
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


def count_of(votes: list[LoggedVote]) -> Count:
    """Return what a place that holds these votes gives."""
    tally = tally_of(votes)
    places = [location for location, _ in tally.by_location.elements()]
    chosen = [candidate for _, candidate in tally.by_location.elements()]
    return Count(
        votes=len(votes),
        candidates={each: chosen.count(each) for each in set(chosen)},
        locations={each: places.count(each) for each in set(places)},
        candidates_by_location=dict(tally.by_location),
        names={c.candidate_id: c.candidate_name for c in CANVASS.candidates},
    )


@attrs.define
class System:
    """A system at rest after the sample election; what differs is set by a test.

    Attributes:
        flows: How far Kafka says that the count is when it is asked first and then.
        coverages: The same of the offsets.
        votes: The table.
        found: What a reconciliation finds.
    """

    flows: list[Flow] = attrs.field(factory=lambda: [Flow(0, 25, None), Flow(0, 25, None)])
    coverages: list[Coverage] = attrs.field(factory=lambda: [coverage_of(25), coverage_of(25)])
    votes: list[LoggedVote] = attrs.field(factory=sample_votes)
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
        nowhere = cast(Any, None)
        return write(KafkaSettings(), nowhere, nowhere, OPTIONS, out)

    def moment(self, *_: object) -> publish._Moment:
        """Stand in for Kafka."""
        return publish._Moment(self.flows.pop(0), self.coverages.pop(0))

    @contextmanager
    def snapshot(self, _: object) -> Iterator[Snapshot]:
        """Stand in for PostgreSQL."""
        yield cast(Snapshot, _Tables(self.votes))


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
    """A system at rest after the sample election."""
    system = System()
    monkeypatch.setattr(publish, "_moment", system.moment)
    monkeypatch.setattr(publish, "reconcile", lambda *_: system.found)
    monkeypatch.setattr(publish, "open_snapshot", system.snapshot)
    monkeypatch.setattr(
        publish,
        "pipeline_status",
        lambda *_: PipelineStatus(50, len(system.votes), {}, system.flows[0]),
    )
    return system


def test_a_count_at_rest_is_certified(system: System, tmp_path: Path) -> None:
    """With nothing in flight and all in agreement there is a certified bundle that verifies."""
    bundle = system.run(certify, tmp_path / "out")
    assert bundle.manifest.status is ResultsStatus.CERTIFIED
    assert bundle.manifest.counts.votes == 25
    assert bundle.manifest.election.issuer_abbreviation == "OOE"
    assert bundle.manifest.election.end_date == date(2020, 11, 4)
    assert not verify_bundle(tmp_path / "out", bundle.manifest_sha256).faults


def waiting(system: System) -> None:
    """Records wait for a decision."""
    system.flows[0] = Flow(7, 25, None)


def untallied(system: System) -> None:
    """The aggregates lack a vote."""
    system.flows[0] = Flow(0, 24, None)


def disagreeing(system: System) -> None:
    """The aggregates hold other votes."""
    difference = Difference("votes", {"postgres": 25, "votes_topic": 25, "aggregates": 24})
    system.found = attrs.evolve(system.found, differences=(difference,))


def unpublished(system: System) -> None:
    """A rejection is not on its topic yet."""
    system.found = attrs.evolve(system.found, in_flight=InFlight(rejections=1))


def waiting_later(system: System) -> None:
    """Records came in while votes were compared."""
    system.flows[1] = Flow(1, 25, None)


def untallied_later(system: System) -> None:
    """The tables have a vote more than those which were compared."""
    system.votes = sample_votes(26)


def advanced(system: System) -> None:
    """Records came in and were rejected while votes were compared."""
    system.coverages[1] = attrs.evolve(coverage_of(25), next_offsets={(TOPIC, 0): 15})


def replaced(system: System) -> None:
    """The tables hold other votes than those which were compared, of the same number."""
    other = sample_votes()
    other[0] = attrs.evolve(other[0], location="Utah")
    system.votes = other


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (waiting, "7 records of voters_topic wait"),
        (untallied, "aggregates count 24 votes, the database has 25"),
        (disagreeing, "votes: 25 in postgres, 25 in votes_topic, 24 in aggregates"),
        (unpublished, "in flight: 1 rejections to publish"),
        (waiting_later, "went on"),
        (advanced, "went on"),
        (replaced, "changed"),
    ],
)
def test_anything_else_is_refused(
    change: Callable[[System], None], reason: str, system: System, tmp_path: Path
) -> None:
    """What is in flight or disagrees is named, and no bundle is left."""
    change(system)
    with pytest.raises(RefusedError, match=reason):
        system.run(certify, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_many_disagreements_are_named_in_part(system: System, tmp_path: Path) -> None:
    """The first reasons are shown, and how many more there are."""
    many = [Difference(f"candidate {n}", {"postgres": 1, "votes_topic": 0}) for n in range(30)]
    system.found = attrs.evolve(system.found, differences=tuple(many), omitted={"candidate": 70})
    with pytest.raises(RefusedError) as caught:
        system.run(certify, tmp_path / "out")
    assert len(caught.value.reasons) == 21
    assert caught.value.reasons[-1] == "and 80 more; `voting reconcile` shows them"


def test_an_export_at_rest_is_complete(system: System, tmp_path: Path) -> None:
    """With nothing in flight the export says so, and does not claim to be certified."""
    bundle = system.run(export, tmp_path / "out")
    assert bundle.manifest.status is ResultsStatus.UNOFFICIAL_COMPLETE
    assert not verify_bundle(tmp_path / "out").faults


@pytest.mark.parametrize("change", [waiting, untallied, waiting_later, untallied_later, advanced])
def test_an_export_amid_the_count_is_partial(
    change: Callable[[System], None], system: System, tmp_path: Path
) -> None:
    """While anything is in flight, before or after the tables were read, results are partial."""
    change(system)
    bundle = system.run(export, tmp_path / "out")
    assert bundle.manifest.status is ResultsStatus.UNOFFICIAL_PARTIAL
    assert not verify_bundle(tmp_path / "out").faults


def test_a_bundle_that_does_not_verify_is_not_handed_out(system: System, tmp_path: Path) -> None:
    """Tables that break a rule, such as one vote a voter, give no bundle at all."""
    system.votes = sorted([*sample_votes(24), sample_votes(1)[0]], key=lambda vote: vote.voter_id)
    with pytest.raises(FatalError, match="second time"):
        system.run(export, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_date_replaces_the_days_of_the_votes() -> None:
    """The operator's date beats the days of the votes, which beat today."""
    today, days = date(2024, 1, 1), (date(2020, 1, 1), date(2020, 1, 2))
    chosen = attrs.evolve(OPTIONS, day=date(2020, 11, 3)).election(days, today)
    assert (chosen.start_date, chosen.end_date) == (date(2020, 11, 3), date(2020, 11, 3))
    voted = OPTIONS.election(days, today)
    assert (voted.start_date, voted.end_date) == days
    assert OPTIONS.election(None, today).start_date == today
