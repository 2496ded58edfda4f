"""From the source to the register and to Kafka, batch by batch.

A voter is registered and committed before the ballot is sent, so the consumer finds every voter in
the register. While a batch is registered and sent in the background, the next one is made.

A run can be repeated: the source yields the same voters, registration is idempotent, and a ballot
sent twice is rejected as `already_voted`.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, date, datetime
from typing import Protocol, Self

import attrs

from voting_core.exceptions import InputError, UnreachableError
from voting_core.models import Candidate, Voter
from voting_core.rules import ChoiceDraw
from voting_core.serialization import encode_voter
from voting_core.service.background import run_in_background
from voting_core.service.health import Heartbeat
from voting_core.service.progress_bar import ProgressBar
from voting_core.service.signals import StopRequested, StopSignal
from voting_core.topics import VOTERS
from voting_producer.candidates import candidates_to_add
from voting_producer.expected_totals import ExpectedTotals
from voting_producer.sources import Registration, Source
from voting_producer.throttle import Throttle


class VoterRegister(Protocol):
    """Where candidates and voters are registered."""

    def candidates(self) -> Mapping[str, Candidate]:
        """Return the registered candidates by id."""

    def add_first_candidates(self, new: Sequence[Candidate]) -> bool:
        """Register candidates if there are none; return whether they were registered."""

    def add_voters(self, voters: Sequence[Voter]) -> None:
        """Register voters and commit; those already registered stay as they are."""


class BallotProducer(Protocol):
    """Where ballots are sent."""

    def send(self, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Queue records given as key and value."""

    def flush(self) -> None:
        """Wait until all records are delivered."""


@attrs.frozen
class Times:
    """When the first voter was generated and the last one delivered, in Unix seconds."""

    started_at: float
    finished_at: float


def register_candidates(
    source: Source,
    register: VoterRegister,
    *,
    draw_seed: str,
    weights: Mapping[str, float] | None = None,
) -> ExpectedTotals:
    """Register the candidates if there are none, and return the totals, which are still zero.

    The seed and the weights must be the consumer's, which draws for voters without a choice.

    Raises:
        InputError: The candidates contradict those registered, or a weight is wrong. Nothing was
            written.
    """
    while True:
        registered = register.candidates()
        new = candidates_to_add(source.candidates, registered)
        candidates = {**registered, **{each.candidate_id: each for each in new}}
        draw = None if source.has_choices else ChoiceDraw.over(candidates, draw_seed, weights)
        # If another producer was faster, check its candidates like any others.
        if not new or register.add_first_candidates(new):
            return ExpectedTotals(candidates, draw)


def take_batch(
    registrations: Iterator[Registration], *, max_ballots: int, max_voters: int
) -> list[Registration]:
    """Take the next voters, until either limit is reached; empty at the end."""
    batch = []
    for registration in registrations:
        batch.append(registration)
        max_ballots -= registration.casts_ballot
        if not max_ballots or len(batch) >= max_voters:
            break
    return batch


class Delivery:
    """Delivers one batch at a time in the background; waits for the last one when it is left."""

    def __init__(self, deliver: Callable[[Sequence[Registration]], None]) -> None:
        """Prepare; `deliver` registers and sends a batch."""
        self._deliver = deliver
        self._outcome: Future[None] | None = None

    def start(self, batch: Sequence[Registration]) -> None:
        """Start to deliver a batch; the one before must be finished."""
        self._outcome = run_in_background(lambda: self._deliver(batch), name="deliver")

    def finish(self) -> None:
        """Wait for the batch, if there is one; raise its error."""
        outcome, self._outcome = self._outcome, None
        if outcome is not None:
            outcome.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()


def send_voters(
    source: Source,
    register: VoterRegister,
    producer: BallotProducer,
    totals: ExpectedTotals,
    *,
    throttle: Throttle,
    stop: StopSignal,
    progress: ProgressBar,
    heartbeat: Heartbeat,
    batch_size: int = 5000,
    clock: Callable[[], float] = time.time,
    today: Callable[[], date] = lambda: datetime.now(UTC).date(),
) -> Times:
    """Register all voters and send their ballots, until the source ends or a stop is requested.

    A stop request ends a wait for the source at once; a batch that is being registered and sent is
    completed. All ballots sent are delivered when this function returns.

    Raises:
        UnreachableError: The database or the API stayed unavailable.
        KafkaException: A ballot could not be delivered.
        TopicRecreatedError: The topic was recreated; ballots may be lost with the old one.
    """

    def deliver(batch: Sequence[Registration]) -> None:
        register.add_voters([voter for voter, _ in batch])
        producer.send(
            VOTERS.name,
            [(v.voter_id.encode(), encode_voter(v)) for v, casts_ballot in batch if casts_ballot],
        )
        totals.add(batch, today())
        progress.update(totals.sent)
        heartbeat.beat()

    registrations = source.registrations()
    started_at = clock()
    taken = totals.sent
    with Delivery(deliver) as delivery:
        try:
            while True:
                with stop.interruptible():
                    throttle.wait(taken)
                    batch = take_batch(
                        registrations,
                        max_ballots=throttle.batch_size(batch_size),
                        max_voters=batch_size,
                    )
                delivery.finish()
                if not batch or stop.requested:
                    break
                delivery.start(batch)
                taken += sum(casts_ballot for _, casts_ballot in batch)
        except StopRequested:
            pass
        except (UnreachableError, InputError):
            # Of the source: what was taken from it before is delivered.
            delivery.finish()
            producer.flush()
            raise
    producer.flush()
    return Times(started_at, clock())
