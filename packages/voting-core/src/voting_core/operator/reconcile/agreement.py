"""Comparing the counts of the places at their common watermark: pure functions."""

from collections.abc import Iterable, Mapping

import attrs

from voting_core.operator.counts import Count
from voting_core.operator.reconcile.difference import Difference, Findings, bounded, each_figure
from voting_core.operator.reconcile.tallies import Tallies

__all__ = ["Places", "check_counts", "check_names", "check_reasons", "check_tallies"]

NamedCandidate = tuple[str, str, str]


@attrs.frozen(kw_only=True)
class Places:
    """The counts of one moment.

    Attributes:
        postgres: The table `votes`.
        unpublished: Those of it that are on their way to `votes_topic`.
        votes_topic: The records of `votes_topic`.
        untallied: Those of it that the aggregates' own progress does not cover.
        uncertain: Those of it that some aggregates may count and others not, while a batch is
            being written; the untallied ones among them.
        tallies: The aggregates.
        still: Whether the aggregates stand still, as far as one can see.
    """

    postgres: Count
    unpublished: Count
    votes_topic: Count
    untallied: Count
    uncertain: Count
    tallies: Tallies
    still: bool


def check_counts(places: Places, findings: Findings) -> bool:
    """Compare every figure of PostgreSQL, `votes_topic` and the aggregates.

    Returns:
        Whether the aggregates were being written, so that they could be held against bounds only.
    """
    stored = places.postgres.minus(places.unpublished)
    exact = places.still and (places.tallies.is_whole or not places.untallied.votes)
    if exact and not places.untallied.votes and not places.unpublished.votes:
        _add_figures(
            {
                "postgres": stored,
                "votes_topic": places.votes_topic,
                "aggregates": places.tallies.count,
            },
            findings,
        )
        return False
    _add_figures({"postgres": stored, "votes_topic": places.votes_topic}, findings)
    return check_tallies(places, findings)


def check_tallies(places: Places, findings: Findings) -> bool:
    """Compare the aggregates with those votes of `votes_topic` that they should count.

    Returns:
        Whether they were being written.
    """
    published, tallies = places.votes_topic, places.tallies
    expected = published.minus(places.untallied)
    unequal = [
        (kind, Difference(figure, found))
        for kind, figure, found in each_figure(
            {"votes_topic": expected, "aggregates": tallies.count}
        )
        if len(set(found.values())) > 1
    ]
    if places.still and (tallies.is_whole or not places.untallied.votes):
        exact_kinds = None
    elif places.still:
        exact_kinds = tallies.whole_kinds
    else:
        exact_kinds = frozenset()
    for kind, difference in unequal:
        if exact_kinds is None or kind in exact_kinds:
            findings.add(kind, [difference])
    open_kinds = {kind for kind, _ in unequal} - (exact_kinds or frozenset())
    if exact_kinds is None or not open_kinds:
        return False
    lowest = published.minus(places.uncertain)
    for kind, difference in bounded(lowest, tallies.count, published, open_kinds):
        findings.add(kind, [difference])
    return True


def check_names(
    registered: Mapping[str, NamedCandidate],
    place: str,
    named: Mapping[NamedCandidate, int],
    findings: Findings,
) -> None:
    """See that a place names candidates as they are registered.

    Args:
        registered: The candidates by id.
        place: The place.
        named: How often it names each as what.
        findings: Where to put what differs.
    """
    wrong = (
        Difference(
            f"candidate {candidate[0]} as {candidate[1]!r}, {candidate[2]!r}",
            {place: number, "allowed": 0},
            "not so registered",
        )
        for candidate, number in sorted(named.items())
        if registered.get(candidate[0]) != candidate
    )
    findings.add("name of a candidate", wrong)


def check_reasons(rejected: Mapping[str, Mapping[str, int]], findings: Findings) -> None:
    """Compare the rejections of several places by reason."""
    reasons: Iterable[str] = sorted(set().union(*rejected.values()))
    found = (
        Difference(f"rejected: {reason}", {p: n.get(reason, 0) for p, n in rejected.items()})
        for reason in reasons
    )
    findings.add("rejected", (each for each in found if len(set(each.found.values())) > 1))


def _add_figures(counts: Mapping[str, Count], findings: Findings) -> None:
    for kind, figure, found in each_figure(counts):
        if len(set(found.values())) > 1:
            findings.add(kind, [Difference(figure, found)])
