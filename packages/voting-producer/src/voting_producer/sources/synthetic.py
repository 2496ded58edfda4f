"""Offline voters made up from a seed: who they are, where they live, and whether they vote."""

import hashlib
from collections.abc import Iterator

import attrs

from voting_core.models import Candidate
from voting_producer.people import DIGEST_BYTES, age_of, invent_voter, sample_state, sample_turnout
from voting_producer.slices import WHOLE, Slice
from voting_producer.sources import Registration

__all__ = ["SyntheticSource"]


@attrs.define
class SyntheticSource:
    """Walks through an endless register until enough of those on it have voted; see `Source`.

    Attributes:
        seed: Any text; the same seed gives the same people in the same order.
        voters: How many people vote, all slices together.
        slice: Which of those who vote are sent; who stays at home goes with the next who votes.
    """

    seed: str
    voters: int
    slice: Slice = WHOLE
    candidates: tuple[Candidate, ...] = attrs.field(default=(), init=False)
    brings_choices: bool = attrs.field(default=False, init=False)
    skipped: int = attrs.field(default=0, init=False)

    @property
    def expected(self) -> int:
        """How many ballots the slice has."""
        return self.slice.size(self.voters)

    def prepare(self) -> None:
        """Do nothing: all that is needed is here."""

    def registrations(self) -> Iterator[Registration]:
        """Yield everybody on the register up to the last who votes, if in the slice."""
        # The seed is hashed for itself, so that no seed can run into the numbers of another.
        seed = hashlib.blake2b(digest_size=DIGEST_BYTES)
        seed.update(hashlib.sha256(self.seed.encode()).digest())
        voted = number = 0
        while voted < self.voters:
            person = seed.copy()
            person.update(b"%d" % number)
            digest = person.digest()
            state = sample_state(digest)
            votes = sample_turnout(digest, state, age_of(digest))
            if voted in self.slice:
                yield Registration(invent_voter(digest, state), votes)
            voted += votes
            number += 1

    def close(self) -> None:
        """Do nothing: nothing is open."""
