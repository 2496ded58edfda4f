"""From the source to the register and to Kafka, batch by batch.

A voter is on the register, committed, before the ballot is sent: the consumer never meets somebody
it cannot know. Everything can be done again: the source repeats itself, registering is idempotent,
and a ballot that is sent twice is rejected the second time.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Protocol

import attrs

from voting_core.models import Candidate, Voter
from voting_core.rules import ChoiceDraw
from voting_core.serialization import encode_voter
from voting_core.topics import VOTERS
from voting_producer.candidates import candidates_to_add
from voting_producer.pacing import Pace
from voting_producer.progress import ProgressDisplay
from voting_producer.sources import Registration, Source
from voting_producer.stopping import Stop, Stopped
from voting_producer.tally import Tally

__all__ = ["Outbox", "Register", "Times", "prepare_tally", "send_voters", "take_batch"]


class Register(Protocol):
    """Where candidates and voters are registered."""

    def candidates(self) -> Mapping[str, Candidate]:
        """Return the registered candidates by id."""

    def add_first_candidates(self, new: Sequence[Candidate]) -> bool:
        """Register candidates unless there are some by now; return whether it did."""

    def add_voters(self, voters: Sequence[Voter]) -> None:
        """Register voters and commit; those registered already stay as they are."""


class Outbox(Protocol):
    """Where ballots are sent."""

    def send(self, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Queue records given as key and value."""

    def flush(self) -> None:
        """Wait until all are delivered."""


@attrs.frozen
class Times:
    """When the first voter was made and the last one delivered, in Unix seconds."""

    started_at: float
    finished_at: float


def prepare_tally(
    source: Source,
    register: Register,
    *,
    draw_seed: str,
    weights: Mapping[str, float] | None = None,
) -> Tally:
    """Register the candidates if there are none yet; return the tally to count into.

    Args:
        source: Who may bring candidates and choices.
        register: The register.
        draw_seed: The consumer's seed for voters without a choice.
        weights: The consumer's weights for them.

    Raises:
        InputError: The candidates contradict those registered, or a weight is wrong; nothing was
            written.
    """
    while True:
        registered = register.candidates()
        new = candidates_to_add(source.candidates, registered)
        standing = {**registered, **{candidate.candidate_id: candidate for candidate in new}}
        draw = None if source.brings_choices else ChoiceDraw.over(standing, draw_seed, weights)
        # Where another producer was faster, its candidates are looked at as any others.
        if not new or register.add_first_candidates(new):
            return Tally(standing, draw)


def take_batch(
    registrations: Iterator[Registration], *, ballots: int, largest: int
) -> list[Registration]:
    """Take the next people: up to so many who vote, up to so many in all; empty at the end."""
    batch = []
    for registration in registrations:
        batch.append(registration)
        ballots -= registration.votes
        if not ballots or len(batch) >= largest:
            break
    return batch


def send_voters(
    source: Source,
    register: Register,
    outbox: Outbox,
    tally: Tally,
    *,
    pace: Pace,
    stop: Stop,
    progress: ProgressDisplay,
    batch_size: int = 2000,
    clock: Callable[[], float] = time.time,
    today: Callable[[], date] = lambda: datetime.now(UTC).date(),
) -> Times:
    """Register everybody and send all ballots, until the source ends or a signal comes.

    What was sent is delivered when this returns, also after a signal (`stop.requested`).

    Raises:
        UnreachableError: The database or the API stayed away.
        KafkaException: A ballot could not be delivered.
    """
    registrations = source.registrations()
    started_at = clock()
    try:
        while True:
            with stop.interruptible():
                pace.wait(tally.sent)
                batch = take_batch(
                    registrations, ballots=pace.batch_size(batch_size), largest=batch_size
                )
            if not batch:
                break
            register.add_voters([voter for voter, _ in batch])
            outbox.send(
                VOTERS.name,
                [(voter.voter_id.encode(), encode_voter(voter)) for voter, votes in batch if votes],
            )
            tally.count(batch, today())
            progress.update(tally.sent)
    except Stopped:
        pass
    outbox.flush()
    return Times(started_at, clock())
