"""Comparing the count with its source: how many ballots were lost or counted more than once."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from testkit.checker.consistency import check_decisions, check_tallies, expected_totals
from testkit.checker.evidence import Evidence, PublishedVote, SentBallot, StoredVote
from testkit.checker.problems import Problems
from testkit.checker.results_file import Totals

__all__ = ["Verdict", "check_exactly_once"]


@attrs.frozen(kw_only=True)
class Verdict:
    """The figures of a count that was compared with its source.

    Attributes:
        lost: Ballots that a data store lacks, by data store.
        duplicated: Ballots that a data store counts more than once, by data store.
        read: Records on voters_topic.
        accepted: Rows of the table `votes`.
        rejected: Rows of the table `rejections` by reason.
        resent: Records on voters_topic beyond the first of a voter.
        problems: Sentences about everything that is wrong; lost and duplicated ballots included.
    """

    lost: Mapping[str, int]
    duplicated: Mapping[str, int]
    read: int
    accepted: int
    rejected: Mapping[str, int]
    resent: int
    problems: list[str]

    @property
    def clean(self) -> bool:
        """Whether every ballot was counted exactly once in every data store."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """Return the figures as a JSON object."""
        return {**attrs.asdict(self), "rejected": dict(sorted(self.rejected.items()))}


def check_exactly_once(evidence: Evidence, source: Totals) -> Verdict:
    """Compare what every data store holds with the source.

    Args:
        evidence: The content of the data stores.
        source: The votes that were to be cast, all of them valid, one per voter.
    """
    problems = Problems()
    first = _first_ballots(evidence.sent)
    sent = Counter((_name(evidence, each.choice), each.state) for each in first.values())
    problems.compare("totals of voters_topic differ from the source", source, sent)
    problems.add(
        "rejections for another reason than already_voted",
        [rejection for rejection in evidence.rejections if rejection[1] != "already_voted"],
    )
    check_decisions(evidence, problems)
    check_tallies(evidence, problems)

    lost, duplicated = {}, {}
    stores: Mapping[str, Iterable[StoredVote | PublishedVote]] = {
        "votes": evidence.votes,
        "votes_topic": evidence.published_votes,
    }
    for store, votes in stores.items():
        totals = Counter((_name(evidence, vote.candidate_id), vote.state) for vote in votes)
        problems.compare(f"totals of {store} differ from the source", source, totals)
        # A loss and a repetition could make up for each other in the totals, not by voter.
        by_voter = Counter(vote.voter_id for vote in votes)
        lost[store] = max((source - totals).total(), len(first.keys() - by_voter.keys()))
        duplicated[store] = max((totals - source).total(), by_voter.total() - len(by_voter))
    lost["aggregates"], duplicated["aggregates"] = _compare_aggregates(evidence, source, problems)
    for what, numbers in (("lost", lost), ("duplicated", duplicated)):
        problems.add(
            f"data stores with ballots {what}", [f"{s}: {n}" for s, n in numbers.items() if n]
        )
    return Verdict(
        lost=lost,
        duplicated=duplicated,
        read=len(evidence.sent),
        accepted=len(evidence.votes),
        rejected=evidence.rejected,
        resent=len(evidence.sent) - len(first),
        problems=problems.sentences,
    )


def _first_ballots(sent: Iterable[SentBallot]) -> dict[str, SentBallot]:
    first: dict[str, SentBallot] = {}
    for ballot in sent:
        first.setdefault(ballot.voter_id, ballot)
    return first


def _name(evidence: Evidence, candidate_id: str) -> str:
    return evidence.candidates.get(candidate_id, candidate_id)


def _compare_aggregates(evidence: Evidence, source: Totals, problems: Problems) -> tuple[int, int]:
    """Return the ballots lost and duplicated, each in the aggregate where they are the most."""
    by_candidate_and_state = evidence.totals["aggregated_votes_per_candidate_by_location"]
    totals = Counter(
        {
            (_name(evidence, candidate_id), state): total.last
            for (state, candidate_id), total in by_candidate_and_state.items()
        }
    )
    problems.compare("totals of the aggregates differ from the source", source, totals)
    lost, duplicated = (source - totals).total(), (totals - source).total()
    for topic, expected in expected_totals(evidence).items():
        found = evidence.totals[topic]
        last = Counter({key: total.last for key, total in found.items()})
        highest = Counter({key: total.highest for key, total in found.items()})
        # The demographic topic counts every voter once in each of its two dimensions.
        times = 2 if topic == "aggregated_turnout_by_demographic" else 1
        lost = max(lost, -(-(expected - last).total() // times))
        duplicated = max(duplicated, -(-(highest - expected).total() // times))
    return lost, duplicated
