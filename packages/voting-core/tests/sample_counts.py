"""Counts of a small election."""

from collections.abc import Sequence

from voting_core.aggregates import RegressedTotal
from voting_core.foreign import ForeignRecords
from voting_core.operator.reconcile.aggregate_totals import (
    AggregateTotals,
    PartitionProgress,
)
from voting_core.operator.vote_counts import VoteCounts

COUNT = VoteCounts(
    votes=3,
    candidates={"ada": 2, "bob": 1},
    locations={"Ohio": 3},
    candidates_by_location={("Ohio", "ada"): 2, ("Ohio", "bob"): 1},
    names={"ada": "Ada", "bob": "Bob"},
    demographics={("gender", "female"): 3, ("age_band", "25-34"): 3},
    minutes={("2024-11-05T17:03:00Z", "ada"): 2, ("2024-11-05T17:03:00Z", "bob"): 1},
)


NONE = VoteCounts(0, {}, {}, {}, {})


# The part of them that is in flight in some tests.
FOR_BOB = VoteCounts(
    votes=1,
    candidates={"bob": 1},
    locations={"Ohio": 1},
    candidates_by_location={("Ohio", "bob"): 1},
    names={},
    demographics={("gender", "female"): 1, ("age_band", "25-34"): 1},
    minutes={("2024-11-05T17:03:00Z", "bob"): 1},
)


def totals_of(
    count: VoteCounts, votes: int, regressed: Sequence[RegressedTotal] = (), end: int = 0
) -> AggregateTotals:
    """Return aggregates whose progress on one partition counts a number of votes."""
    partitions = {0: PartitionProgress(votes, votes, -1)} if votes else {}
    ends = {("aggregated_progress", 0): end}
    return AggregateTotals(count, frozenset(), partitions, regressed, ForeignRecords(), ends)
