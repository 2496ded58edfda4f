"""The run, from source to register and outbox."""

import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import count, islice

import attrs
import pytest

from voting_core.exceptions import InputError, UnreachableError
from voting_core.models import Address, Candidate, Voter
from voting_core.serialization import decode_voter
from voting_producer.candidates import DEFAULT_CANDIDATES
from voting_producer.pacing import Pace
from voting_producer.pipeline import Times, prepare_tally, send_voters, take_batch
from voting_producer.progress import NoProgress
from voting_producer.sources import Registration
from voting_producer.sources.synthetic import SyntheticSource
from voting_producer.stopping import Stop
from voting_producer.tally import Tally

ANN = Candidate("a", "Ann", "RED")


@attrs.define
class World:
    """A register and an outbox that remember what happened, in order."""

    standing: dict[str, Candidate] = attrs.field(factory=dict)
    events: list[tuple[str, tuple[str, ...]]] = attrs.field(factory=list)
    sent: list[Voter] = attrs.field(factory=list)
    topics: set[str] = attrs.field(factory=set)

    def candidates(self) -> Mapping[str, Candidate]:
        """Return the candidates."""
        return dict(self.standing)

    def add_first_candidates(self, new: Sequence[Candidate]) -> bool:
        """Register candidates if there are none."""
        if self.standing:
            return False
        self.events.append(("candidates", tuple(c.candidate_id for c in new)))
        self.standing.update({c.candidate_id: c for c in new})
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
class ListSource:
    """Voters given beforehand."""

    people: Iterable[Registration]
    candidates: tuple[Candidate, ...] = ()
    brings_choices: bool = False
    expected: int = 0
    skipped: int = 0

    def prepare(self) -> None:
        """Do nothing."""

    def registrations(self) -> Iterator[Registration]:
        """Yield the people."""
        yield from self.people

    def close(self) -> None:
        """Do nothing."""


def someone(number: int, votes: bool = True) -> Registration:
    """Return somebody."""
    voter = Voter(f"v{number}", "Somebody", date(1990, 1, 1), "female", Address("Ohio"))
    return Registration(voter, votes)


def run(
    source: SyntheticSource | ListSource,
    world: World,
    *,
    stop: Stop | None = None,
    batch_size: int = 2,
) -> tuple[Tally, Times]:
    """Run a whole election."""
    tally = prepare_tally(source, world, draw_seed="d")
    ticks = count(1000)
    times = send_voters(
        source,
        world,
        world,
        tally,
        pace=Pace(),
        stop=stop or Stop(),
        progress=NoProgress(),
        batch_size=batch_size,
        clock=lambda: float(next(ticks)),
        today=lambda: date(2026, 11, 3),
    )
    return tally, times


def test_register_comes_before_the_ballot() -> None:
    """Candidates first, then batch by batch the register and only then Kafka, and last a flush."""
    world = World()
    tally, times = run(ListSource([someone(n) for n in range(3)]), world)
    assert world.events == [
        ("candidates", tuple(c.candidate_id for c in DEFAULT_CANDIDATES)),
        ("register", ("v0", "v1")),
        ("send", ("v0", "v1")),
        ("register", ("v2",)),
        ("send", ("v2",)),
        ("flush", ()),
    ]
    assert world.topics == {"voters_topic"}
    assert tally.votes == 3
    assert times == Times(1000.0, 1001.0)


def test_those_who_stay_at_home_are_only_registered() -> None:
    """Somebody who does not vote is on the register, but nothing of theirs is sent."""
    world = World()
    tally, _ = run(ListSource([someone(1), someone(2, votes=False)]), world)
    assert [v.voter_id for v in world.sent] == ["v1"]
    assert (tally.registered, tally.sent) == (2, 1)
    assert ("register", ("v1", "v2")) in world.events


def test_registered_candidates_are_used() -> None:
    """Where somebody stands already, nobody is added, and choices are drawn among them."""
    world = World({"a": ANN})
    tally, _ = run(ListSource([someone(1)]), world)
    assert "candidates" not in [name for name, _ in world.events]
    assert tally.votes_by_name() == {"Ann": 1}


@attrs.define
class Overtaken(World):
    """A register in which somebody else registers candidates first, just before this producer."""

    others: tuple[Candidate, ...] = ()

    def add_first_candidates(self, new: Sequence[Candidate]) -> bool:
        """Find the others' candidates there."""
        self.standing.update({c.candidate_id: c for c in self.others})
        return super().add_first_candidates(new)


def test_another_producer_may_be_first() -> None:
    """Candidates that another producer registers meanwhile are used like any registered before."""
    world = Overtaken(others=(ANN,))
    tally, _ = run(ListSource([someone(1)]), world)
    assert "candidates" not in [name for name, _ in world.events]
    assert tally.votes_by_name() == {"Ann": 1}


def test_another_producer_may_contradict() -> None:
    """Other candidates than those of a producer that was faster are refused; nothing is sent."""
    world = Overtaken(others=(attrs.evolve(ANN, candidate_name="Anna"),))
    with pytest.raises(InputError, match="contradict"):
        run(ListSource([someone(1)], (ANN,), True), world)
    assert world.events == []


def test_contradiction_writes_nothing() -> None:
    """Candidates that contradict those registered are found before anything is written."""
    world = World({"a": ANN})
    source = ListSource([someone(1)], (attrs.evolve(ANN, candidate_name="Anna"),), True)
    with pytest.raises(InputError, match="contradict"):
        run(source, world)
    assert world.events == []


def test_wrong_weight_writes_nothing() -> None:
    """A weight for nobody is found before the candidates are registered."""
    world = World()
    with pytest.raises(InputError, match="'nobody'"):
        prepare_tally(ListSource([]), world, draw_seed="d", weights={"nobody": 1.0})
    assert world.events == []


def test_weights_do_not_matter_to_choices_that_are_brought() -> None:
    """A results file's choices are counted as they are, whatever is said about drawing."""
    tally = prepare_tally(
        ListSource([], (ANN,), True), World(), draw_seed="d", weights={"nobody": 1.0}
    )
    assert tally.draw is None


def test_rerun_completes_the_same_election() -> None:
    """A run that breaks and is repeated sends the same voters as one that does not break."""
    source = SyntheticSource("7", 50)
    whole, broken = World(), World()
    expected, _ = run(source, whole)

    class Breaks(World):
        def add_voters(self, voters: Sequence[Voter]) -> None:
            if len(self.sent) > 20:
                raise UnreachableError("gone")
            super().add_voters(voters)

    first = Breaks(broken.standing, broken.events, broken.sent)
    with pytest.raises(UnreachableError):
        run(source, first)
    again, _ = run(source, broken)
    assert {v.voter_id: v for v in broken.sent} == {v.voter_id: v for v in whole.sent}
    assert again == expected


def test_signal_ends_after_the_batch() -> None:
    """A signal in the middle of a batch lets it finish, sends no further one, and flushes."""
    stop = Stop()

    class Interrupts(World):
        def add_voters(self, voters: Sequence[Voter]) -> None:
            super().add_voters(voters)
            if voters[0].voter_id == "v2":
                signal.raise_signal(signal.SIGTERM)

    world = Interrupts()
    with stop.on_signals():
        tally, _ = run(ListSource(someone(n) for n in count()), world, stop=stop)
    assert [v.voter_id for v in world.sent] == ["v0", "v1", "v2", "v3"]
    assert world.events[-1] == ("flush", ())
    assert (tally.sent, stop.exit_code) == (4, 143)


def test_signal_ends_a_wait_for_the_source() -> None:
    """A signal while the source has nothing to give ends at once; what came before is delivered."""
    stop = Stop()

    def slow() -> Iterator[Registration]:
        yield someone(0)
        yield someone(1)
        signal.raise_signal(signal.SIGINT)
        yield someone(2)

    world = World()
    with stop.on_signals():
        run(ListSource(slow()), world, stop=stop)
    assert [v.voter_id for v in world.sent] == ["v0", "v1"]
    assert world.events[-1] == ("flush", ())
    assert stop.exit_code == 130


def test_signal_handlers_are_put_back() -> None:
    """Afterwards signals do what they did before."""
    before = signal.getsignal(signal.SIGTERM)
    with Stop().on_signals():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_batch_is_bounded_both_ways() -> None:
    """A batch ends with enough ballots or with enough people, whichever comes first."""
    people = iter([someone(n, votes=n % 2 == 0) for n in range(20)])
    assert len(take_batch(people, ballots=2, largest=100)) == 3
    assert len(take_batch(people, ballots=100, largest=5)) == 5
    assert len(take_batch(people, ballots=100, largest=100)) == 12
    assert take_batch(people, ballots=100, largest=100) == []


def test_source_is_read_no_further_than_needed() -> None:
    """Nobody is held but the batch: memory does not grow with the number of voters."""
    taken = []

    def endless() -> Iterator[Registration]:
        for number in count():
            taken.append(number)
            yield someone(number)

    people = endless()
    take_batch(people, ballots=3, largest=10)
    assert taken == [0, 1, 2]
    assert len(list(islice(people, 1))) == 1
