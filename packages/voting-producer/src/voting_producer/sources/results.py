"""The rehearsal: voters who vote as a results file says, one for every `scale` votes in it."""

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache

import attrs

from voting_core.models import Candidate
from voting_producer.candidates import candidate_id
from voting_producer.people import DIGEST_BYTES, invent_voter
from voting_producer.slices import WHOLE, Slice
from voting_producer.sources import Registration
from voting_producer.sources.results_file import ResultRow, ResultsFile
from voting_producer.states import find_state

__all__ = ["ResultsSource", "voters_per_row"]


def voters_per_row(rows: Iterable[ResultRow], scale: int) -> Iterator[tuple[ResultRow, int]]:
    """Yield each row with the number of voters it gives.

    With c votes of the same candidate and state in the rows before, a row of v votes gives
    ⌊(c+v)/scale⌋ - ⌊c/scale⌋ voters. So the voters of a candidate in a state add up to exactly
    ⌊total/scale⌋, however the total is spread over rows.
    """
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row.candidate, row.state)
        before = seen.get(key, 0)
        seen[key] = before + row.votes
        yield row, seen[key] // scale - before // scale


@attrs.define
class ResultsSource:
    """Replays a results file; see `Source`.

    Attributes:
        file: The file, read and checked.
        scale: Votes in the file for each voter.
        slice: Which of the voters are sent, counted in the order of the file.
    """

    file: ResultsFile
    scale: int
    slice: Slice = WHOLE
    candidates: tuple[Candidate, ...] = attrs.field(init=False)
    expected: int = attrs.field(init=False)
    brings_choices: bool = attrs.field(default=True, init=False)
    skipped: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.candidates = tuple(
            Candidate(candidate_id(name), name, party) for name, party in self.file.parties.items()
        )
        voters = sum(voters for _, voters in voters_per_row(self.file.rows, self.scale))
        self.expected = self.slice.size(voters)

    def prepare(self) -> None:
        """Do nothing: the file was checked when it was read."""

    def registrations(self) -> Iterator[Registration]:
        """Yield the voters row by row; everybody votes."""
        state_of = cache(find_state)
        ids = {candidate.candidate_name: candidate.candidate_id for candidate in self.candidates}
        seed = hashlib.blake2b(digest_size=DIGEST_BYTES)
        seed.update(self.file.digest + f"{self.scale}:".encode())
        first = 0
        for row, voters in voters_per_row(self.file.rows, self.scale):
            state, choice = state_of(row.state), ids[row.candidate]
            row_seed = seed.copy()
            row_seed.update(f"{row.number}:".encode())
            for position in self.slice.within(range(first, first + voters)):
                person = row_seed.copy()
                person.update(b"%d" % (position - first))
                yield Registration(invent_voter(person.digest(), state, choice), True)
            first += voters

    def close(self) -> None:
        """Do nothing: nothing is open."""
