"""What the source meant to be counted, added up as its voters pass by."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date

import attrs

from voting_core.models import Candidate
from voting_core.rules import VOTING_AGE, ChoiceDraw, age_on
from voting_producer.sources import Registration

__all__ = ["Tally"]


@attrs.define
class Tally:
    """Totals that the count must arrive at if it is right; memory depends on the keys only.

    Attributes:
        candidates: Everybody who can be voted for, by id.
        draw: The consumer's rule, applied to voters that bring no choice.
        registered: Voters put on the register.
        sent: Ballots sent.
        per_candidate: Ballots that must be accepted, by candidate_id.
        per_location: The same, by state.
    """

    candidates: Mapping[str, Candidate]
    draw: ChoiceDraw | None = None
    registered: int = 0
    sent: int = 0
    per_candidate: Counter[str] = attrs.field(factory=Counter)
    per_location: Counter[str] = attrs.field(factory=Counter)

    def count(self, batch: Iterable[Registration], today: date) -> None:
        """Add a batch that was registered and sent on a day (UTC)."""
        for voter, votes in batch:
            self.registered += 1
            if not votes:
                continue
            self.sent += 1
            choice = voter.choice
            if choice is None and self.draw is not None:
                choice = self.draw.choice(voter.voter_id)
            if choice is None or choice not in self.candidates:
                continue
            if age_on(voter.date_of_birth, today) >= VOTING_AGE:
                self.per_candidate[choice] += 1
                self.per_location[voter.address.state] += 1

    @property
    def votes(self) -> int:
        """Ballots that must be accepted."""
        return self.per_candidate.total()

    def votes_by_name(self) -> dict[str, int]:
        """Return the ballots that must be accepted by candidate_name, most first."""
        names: Counter[str] = Counter()
        for key, votes in self.per_candidate.items():
            names[self.candidates[key].candidate_name] += votes
        return dict(names.most_common())
