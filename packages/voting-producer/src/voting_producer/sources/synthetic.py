"""Synthetic voters from a seed, without a network."""

import hashlib
from collections.abc import Iterator

import attrs

from voting_producer.people import (
    DIGEST_BYTES,
    invent_voter,
    sample_age,
    sample_state,
    sample_turnout,
)
from voting_producer.shards import WHOLE, Shard
from voting_producer.sources import Registration, Source


@attrs.define
class SyntheticSource(Source):
    """Yields voters of an endless register until enough of them cast a ballot.

    Attributes:
        seed: Any text; the same seed gives the same voters in the same order.
        voters: Number of voters that cast a ballot, in all shards together.
        shard: Which of these voters to yield. A voter without a ballot belongs to the shard of the
            next voter with one.
    """

    seed: str
    voters: int
    shard: Shard = WHOLE

    @property
    def expected(self) -> int:
        """Number of ballots in the shard."""
        return self.shard.size(self.voters)

    def registrations(self) -> Iterator[Registration]:
        """Yield the voters of the shard, with and without a ballot."""
        # Hashed separately, so that seed 1 with number 11 differs from seed 11 with number 1.
        seed = hashlib.blake2b(digest_size=DIGEST_BYTES)
        seed.update(hashlib.sha256(self.seed.encode()).digest())
        ballots = number = 0
        while ballots < self.voters:
            voter = seed.copy()
            voter.update(b"%d" % number)
            digest = voter.digest()
            state = sample_state(digest)
            casts_ballot = sample_turnout(digest, state, sample_age(digest))
            if ballots in self.shard:
                yield Registration(invent_voter(digest, state), casts_ballot)
            ballots += casts_ballot
            number += 1
