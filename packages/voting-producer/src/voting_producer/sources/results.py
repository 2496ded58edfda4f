"""Voters that reproduce a results file: one for every `scale` votes in it."""

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache

import attrs

from voting_core.models import Candidate
from voting_producer.candidates import candidate_id
from voting_producer.people import DIGEST_BYTES, find_state, invent_voter
from voting_producer.shards import WHOLE, Shard
from voting_producer.sources import Registration, Source
from voting_producer.sources.results_file import ResultRow, ResultsFile


def voters_per_row(rows: Iterable[ResultRow], scale: int) -> Iterator[tuple[ResultRow, int]]:
    """Yield each row with its number of voters.

    A row of v votes yields ⌊(c+v)/scale⌋ - ⌊c/scale⌋ voters, where c is the sum of the votes of
    the same candidate and state in earlier rows. Each candidate's total in a state is therefore
    exactly ⌊total/scale⌋.
    """
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row.candidate, row.state)
        before = seen.get(key, 0)
        seen[key] = before + row.votes
        yield row, seen[key] // scale - before // scale


@attrs.define
class ResultsSource(Source):
    """Replays a results file.

    Attributes:
        scale: Number of votes in the file per voter.
        shard: Which of the voters to yield, counted in the order of the file.
    """

    file: ResultsFile
    scale: int
    shard: Shard = WHOLE
    candidates: tuple[Candidate, ...] = attrs.field(init=False)
    expected: int = attrs.field(init=False)
    has_choices = True

    def __attrs_post_init__(self) -> None:
        self.candidates = tuple(
            Candidate(candidate_id(name), name, party) for name, party in self.file.parties.items()
        )
        voters = sum(voters for _, voters in voters_per_row(self.file.rows, self.scale))
        self.expected = self.shard.size(voters)

    def registrations(self) -> Iterator[Registration]:
        """Yield the voters row by row; each casts a ballot."""
        state_of = cache(find_state)
        ids = {candidate.candidate_name: candidate.candidate_id for candidate in self.candidates}
        seed = hashlib.blake2b(digest_size=DIGEST_BYTES)
        seed.update(self.file.digest + f"{self.scale}:".encode())
        first = 0
        for row, voters in voters_per_row(self.file.rows, self.scale):
            state, choice = state_of(row.state), ids[row.candidate]
            row_seed = seed.copy()
            row_seed.update(f"{row.number}:".encode())
            for position in self.shard.within(range(first, first + voters)):
                voter = row_seed.copy()
                voter.update(b"%d" % (position - first))
                yield Registration(invent_voter(voter.digest(), state, choice), True)
            first += voters
