"""The totals that the count must reach, added up from the ballots as they are sent."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date

import attrs

from voting_core.models import Candidate
from voting_core.rules import VOTING_AGE, ChoiceDraw, age_on
from voting_producer.sources import Registration


@attrs.define
class ExpectedTotals:
    """Totals of the ballots that must be accepted; memory depends on the number of keys only.

    Attributes:
        candidates: The registered candidates by id.
        draw: The consumer's draw, for voters without a choice.
        registered: Number of voters registered.
        sent: Number of ballots sent.
        per_candidate: Ballots that must be accepted, by candidate_id.
        per_location: The same, by state.
    """

    candidates: Mapping[str, Candidate]
    draw: ChoiceDraw | None = None
    registered: int = 0
    sent: int = 0
    per_candidate: Counter[str] = attrs.field(factory=Counter)
    per_location: Counter[str] = attrs.field(factory=Counter)

    def add(self, batch: Iterable[Registration], day: date) -> None:
        """Add a batch that was registered and sent on a day (UTC)."""
        for voter, casts_ballot in batch:
            self.registered += 1
            if not casts_ballot:
                continue
            self.sent += 1
            choice = voter.choice
            if choice is None and self.draw is not None:
                choice = self.draw.choice(voter.voter_id)
            if choice is None or choice not in self.candidates:
                continue
            if age_on(voter.date_of_birth, day) >= VOTING_AGE:
                self.per_candidate[choice] += 1
                self.per_location[voter.address.state] += 1

    @property
    def votes(self) -> int:
        """Number of ballots that must be accepted."""
        return self.per_candidate.total()

    def votes_by_name(self) -> dict[str, int]:
        """Return the ballots that must be accepted by candidate_name, highest number first."""
        names: Counter[str] = Counter()
        for candidate_id, votes in self.per_candidate.items():
            names[self.candidates[candidate_id].candidate_name] += votes
        return dict(names.most_common())
