"""The run, from the source to the register and to Kafka."""

import signal
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import count, islice
from pathlib import Path

import attrs
import pytest

from voting_core.exceptions import InputError, UnreachableError
from voting_core.models import Address, Candidate, Voter
from voting_core.serialization import decode_voter
from voting_core.service.health import Heartbeat
from voting_core.service.progress_bar import LogProgress
from voting_core.service.signals import StopSignal
from voting_producer.candidates import DEFAULT_CANDIDATES
from voting_producer.expected_totals import ExpectedTotals
from voting_producer.pipeline import Times, register_candidates, send_voters, take_batch
from voting_producer.sources import Registration, Source
from voting_producer.sources.synthetic import SyntheticSource
from voting_producer.throttle import Throttle

ANN = Candidate("a", "Ann", "RED")


@attrs.define
class FakeStores:
    """A register and a Kafka producer that record all calls, in order."""

    registered: dict[str, Candidate] = attrs.field(factory=dict)
    events: list[tuple[str, tuple[str, ...]]] = attrs.field(factory=list)
    sent: list[Voter] = attrs.field(factory=list)
    topics: set[str] = attrs.field(factory=set)

    def candidates(self) -> Mapping[str, Candidate]:
        """Return the candidates."""
        return dict(self.registered)

    def add_first_candidates(self, new: Sequence[Candidate]) -> bool:
        """Register candidates if there are none."""
        if self.registered:
            return False
        self.events.append(("candidates", tuple(c.candidate_id for c in new)))
        self.registered.update({c.candidate_id: c for c in new})
        return True

    def add_voters(self, voters: Sequence[Voter]) -> None:
        """Register voters."""
        self.events.append(("register", tuple(v.voter_id for v in voters)))

    def send(self, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Send records."""
        voters = [(key.decode(), decode_voter(value)) for key, value in records]
        assert all(key == voter.voter_id for key, voter in voters)
        self.topics.add(topic)
        self.events.append(("send", tuple(key for key, _ in voters)))
        self.sent.extend(voter for _, voter in voters)

    def flush(self) -> None:
        """Deliver."""
        self.events.append(("flush", ()))


@attrs.define
class ListSource(Source):
    """A source with given voters."""

    voters: Iterable[Registration]
    candidates: tuple[Candidate, ...] = ()
    has_choices: bool = False
    expected: int = 0

    def registrations(self) -> Iterator[Registration]:
        """Yield the voters."""
        yield from self.voters


def registration(number: int, casts_ballot: bool = True) -> Registration:
    """Return a voter to register."""
    voter = Voter(f"v{number}", "Voter", date(1990, 1, 1), "female", Address("Ohio"))
    return Registration(voter, casts_ballot)


def run(
    source: SyntheticSource | ListSource,
    stores: FakeStores,
    *,
    stop: StopSignal | None = None,
    heartbeat: Path | None = None,
    batch_size: int = 2,
) -> tuple[ExpectedTotals, Times]:
    """Send all voters of a source."""
    totals = register_candidates(source, stores, draw_seed="d")
    ticks = count(1000)
    times = send_voters(
        source,
        stores,
        stores,
        totals,
        throttle=Throttle(),
        stop=stop or StopSignal(),
        progress=LogProgress("sending", "ballots", total=None),
        heartbeat=Heartbeat(heartbeat),
        batch_size=batch_size,
        clock=lambda: float(next(ticks)),
        today=lambda: date(2026, 11, 3),
    )
    return totals, times


def test_a_voter_is_registered_before_the_ballot_is_sent() -> None:
    """First the candidates, then batch by batch the register and Kafka, and last a flush."""
    stores = FakeStores()
    totals, times = run(ListSource([registration(n) for n in range(3)]), stores)
    assert stores.events == [
        ("candidates", tuple(c.candidate_id for c in DEFAULT_CANDIDATES)),
        ("register", ("v0", "v1")),
        ("send", ("v0", "v1")),
        ("register", ("v2",)),
        ("send", ("v2",)),
        ("flush", ()),
    ]
    assert stores.topics == {"voters_topic"}
    assert totals.votes == 3
    assert times == Times(1000.0, 1001.0)


def test_a_voter_without_a_ballot_is_only_registered() -> None:
    """The voter is registered, but nothing is sent."""
    stores = FakeStores()
    totals, _ = run(ListSource([registration(1), registration(2, casts_ballot=False)]), stores)
    assert [v.voter_id for v in stores.sent] == ["v1"]
    assert (totals.registered, totals.sent) == (2, 1)
    assert ("register", ("v1", "v2")) in stores.events


def test_registered_candidates_are_used() -> None:
    """If there are candidates, none is added, and choices are drawn among them."""
    stores = FakeStores({"a": ANN})
    totals, _ = run(ListSource([registration(1)]), stores)
    assert "candidates" not in [name for name, _ in stores.events]
    assert totals.votes_by_name() == {"Ann": 1}


@attrs.define
class Overtaken(FakeStores):
    """A register in which another producer registers candidates just before this one."""

    others: tuple[Candidate, ...] = ()

    def add_first_candidates(self, new: Sequence[Candidate]) -> bool:
        """Register the other producer's candidates first."""
        self.registered.update({c.candidate_id: c for c in self.others})
        return super().add_first_candidates(new)


def test_another_producer_may_be_first() -> None:
    """Candidates that another producer registers first are used like any others."""
    stores = Overtaken(others=(ANN,))
    totals, _ = run(ListSource([registration(1)]), stores)
    assert "candidates" not in [name for name, _ in stores.events]
    assert totals.votes_by_name() == {"Ann": 1}


def test_another_producer_may_contradict() -> None:
    """Candidates that contradict those of a faster producer are refused; nothing is sent."""
    stores = Overtaken(others=(attrs.evolve(ANN, candidate_name="Anna"),))
    with pytest.raises(InputError, match="contradict"):
        run(ListSource([registration(1)], (ANN,), True), stores)
    assert stores.events == []


def test_contradiction_writes_nothing() -> None:
    """Candidates that contradict those registered are refused before anything is written."""
    stores = FakeStores({"a": ANN})
    source = ListSource([registration(1)], (attrs.evolve(ANN, candidate_name="Anna"),), True)
    with pytest.raises(InputError, match="contradict"):
        run(source, stores)
    assert stores.events == []


def test_wrong_weight_writes_nothing() -> None:
    """A weight for an unknown candidate is refused before the candidates are registered."""
    stores = FakeStores()
    with pytest.raises(InputError, match="'zoe'"):
        register_candidates(ListSource([]), stores, draw_seed="d", weights={"zoe": 1.0})
    assert stores.events == []


def test_weights_are_ignored_if_the_source_has_choices() -> None:
    """The choices of a results file are counted as they are, whatever the draw's settings."""
    totals = register_candidates(
        ListSource([], (ANN,), True), FakeStores(), draw_seed="d", weights={"zoe": 1.0}
    )
    assert totals.draw is None


def test_a_repeated_run_completes_the_election() -> None:
    """A run that fails and is repeated sends the same voters as one that does not fail."""
    source = SyntheticSource("7", 50)
    complete, failed = FakeStores(), FakeStores()
    expected, _ = run(source, complete)

    class Fails(FakeStores):
        def add_voters(self, voters: Sequence[Voter]) -> None:
            if len(self.sent) > 20:
                raise UnreachableError("gone")
            super().add_voters(voters)

    first = Fails(failed.registered, failed.events, failed.sent)
    with pytest.raises(UnreachableError):
        run(source, first)
    again, _ = run(source, failed)
    assert {v.voter_id: v for v in failed.sent} == {v.voter_id: v for v in complete.sent}
    assert again == expected


def test_signal_ends_after_the_batch() -> None:
    """A batch is completed after a signal, no further one is sent, and the producer is flushed."""
    stop = StopSignal()

    class Interrupts(FakeStores):
        def add_voters(self, voters: Sequence[Voter]) -> None:
            super().add_voters(voters)
            if voters[0].voter_id == "v2":
                signal.raise_signal(signal.SIGTERM)

    stores = Interrupts()
    with stop.handle():
        totals, _ = run(ListSource(registration(n) for n in count()), stores, stop=stop)
    assert [v.voter_id for v in stores.sent] == ["v0", "v1", "v2", "v3"]
    assert stores.events[-1] == ("flush", ())
    assert (totals.sent, stop.exit_code) == (4, 143)


def test_signal_ends_a_wait_for_the_source() -> None:
    """A signal during a wait for the source ends it at once; earlier batches are delivered."""
    stop = StopSignal()

    def slow() -> Iterator[Registration]:
        yield registration(0)
        yield registration(1)
        signal.raise_signal(signal.SIGINT)
        yield registration(2)

    stores = FakeStores()
    with stop.handle():
        run(ListSource(slow()), stores, stop=stop)
    assert [v.voter_id for v in stores.sent] == ["v0", "v1"]
    assert stores.events[-1] == ("flush", ())
    assert stop.exit_code == 130


def test_the_heartbeat_is_updated_with_each_batch(tmp_path: Path) -> None:
    """Every batch that is sent updates the heartbeat."""
    heartbeat = tmp_path / "heartbeat"
    updated: list[bool] = []

    class Watched(FakeStores):
        def add_voters(self, voters: Sequence[Voter]) -> None:
            updated.append(heartbeat.exists())
            heartbeat.unlink(missing_ok=True)

    source = ListSource([registration(number) for number in range(3)])
    run(source, Watched(), heartbeat=heartbeat, batch_size=1)
    assert updated == [False, True, True]
    assert heartbeat.exists()


def test_the_next_batch_is_made_while_one_is_delivered() -> None:
    """The source yields the next batch, and not more, before the first one is registered."""
    taken, next_is_made = [], threading.Event()

    def voters() -> Iterator[Registration]:
        for number in range(6):
            taken.append(number)
            if number == 3:
                next_is_made.set()
            yield registration(number)

    class Slow(FakeStores):
        def add_voters(self, voters: Sequence[Voter]) -> None:
            if not self.events[-1:] or self.events[-1][0] == "candidates":
                assert next_is_made.wait(10)
                assert taken == [0, 1, 2, 3]
            super().add_voters(voters)

    stores = Slow()
    totals, _ = run(ListSource(voters()), stores)
    assert [v.voter_id for v in stores.sent] == [f"v{n}" for n in range(6)]
    assert totals.sent == 6


def test_a_batch_is_delivered_even_if_the_source_fails() -> None:
    """What was taken from the source before its error is registered and sent."""

    def failing() -> Iterator[Registration]:
        yield registration(0)
        yield registration(1)
        raise UnreachableError("the API is gone")

    stores = FakeStores()
    with pytest.raises(UnreachableError, match="API"):
        run(ListSource(failing()), stores)
    assert stores.events[-2:] == [("send", ("v0", "v1")), ("flush", ())]


def test_batch_is_bounded_both_ways() -> None:
    """A batch ends with enough ballots or with enough voters, whichever comes first."""
    voters = iter([registration(n, casts_ballot=n % 2 == 0) for n in range(20)])
    assert len(take_batch(voters, max_ballots=2, max_voters=100)) == 3
    assert len(take_batch(voters, max_ballots=100, max_voters=5)) == 5
    assert len(take_batch(voters, max_ballots=100, max_voters=100)) == 12
    assert take_batch(voters, max_ballots=100, max_voters=100) == []


def test_source_is_read_no_further_than_needed() -> None:
    """Only the batch is in memory, which does not grow with the number of voters."""
    taken = []

    def endless() -> Iterator[Registration]:
        for number in count():
            taken.append(number)
            yield registration(number)

    voters = endless()
    take_batch(voters, max_ballots=3, max_voters=10)
    assert taken == [0, 1, 2]
    assert len(list(islice(voters, 1))) == 1
