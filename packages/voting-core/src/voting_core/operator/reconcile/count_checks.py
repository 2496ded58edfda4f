"""Comparing the counts of the data stores at their common watermark, as pure functions."""

from collections.abc import Mapping

import attrs

from voting_core.operator.reconcile.aggregate_totals import AggregateTotals
from voting_core.operator.reconcile.differences import (
    KINDS,
    Difference,
    Findings,
    compare_counts,
    compare_groups,
    compare_with_bounds,
)
from voting_core.operator.vote_counts import NamedCandidate, VoteCounts


@attrs.frozen(kw_only=True)
class StoreCounts:
    """The counts of all data stores at one time.

    Attributes:
        postgres: The table `votes`.
        unpublished: The part of it that is in flight to `votes_topic`.
        votes_topic: The records of `votes_topic`.
        untallied: The part of them that the aggregates do not count, by `aggregated_progress`.
        uncertain: The part of them that only some aggregates may count while a batch is being
            written; includes the untallied ones.
        settled: Whether the aggregates are complete, or no longer being written.
    """

    postgres: VoteCounts
    unpublished: VoteCounts
    votes_topic: VoteCounts
    untallied: VoteCounts
    uncertain: VoteCounts
    aggregates: AggregateTotals
    settled: bool


def check_counts(stores: StoreCounts, findings: Findings) -> bool:
    """Compare every figure of PostgreSQL, `votes_topic` and the aggregates.

    Returns:
        Whether the aggregates were being written, so that only their bounds could be checked.
    """
    counts = {
        "postgres": stores.postgres.minus(stores.unpublished),
        "votes_topic": stores.votes_topic,
    }
    drained = not stores.untallied.votes and not stores.unpublished.votes
    if stores.settled and drained:
        counts["aggregates"] = stores.aggregates.counts
    for kind, difference in compare_counts(counts):
        findings.add(kind, [difference])
    return False if "aggregates" in counts else _check_aggregates(stores, findings)


def _check_aggregates(stores: StoreCounts, findings: Findings) -> bool:
    """Compare the aggregates with the votes of `votes_topic` that they should count.

    Returns:
        Whether they were being written.
    """
    published, aggregates = stores.votes_topic, stores.aggregates
    if not stores.settled:
        exact_kinds: frozenset[str] = frozenset()
    elif aggregates.is_complete or not stores.untallied.votes:
        exact_kinds = KINDS
    else:
        exact_kinds = aggregates.complete_kinds
    expected = {"votes_topic": published.minus(stores.untallied), "aggregates": aggregates.counts}
    bounded_kinds = set()
    for kind, difference in compare_counts(expected):
        if kind in exact_kinds:
            findings.add(kind, [difference])
        else:
            bounded_kinds.add(kind)
    lowest = published.minus(stores.uncertain)
    for kind, difference in compare_with_bounds(
        lowest, aggregates.counts, published, bounded_kinds
    ):
        findings.add(kind, [difference])
    return bool(bounded_kinds)


def check_names(
    registered: Mapping[str, NamedCandidate],
    store: str,
    named: Mapping[NamedCandidate, int],
    findings: Findings,
) -> None:
    """Check that a data store names candidates as they are registered.

    `named` is the number of its records by candidate, as they name it.
    """
    wrong = (
        Difference(
            f"candidate {candidate[0]} as {candidate[1]!r}, {candidate[2]!r}",
            {store: number, "allowed": 0},
            "not so registered",
        )
        for candidate, number in sorted(named.items())
        if registered.get(candidate[0]) != candidate
    )
    findings.add("name of a candidate", wrong)


def check_reasons(rejected: Mapping[str, Mapping[str, int]], findings: Findings) -> None:
    """Compare the rejections of several data stores by reason."""
    findings.add("rejected", compare_groups("rejected: {}", rejected))
