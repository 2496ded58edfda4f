"""The report: what was sent, and the totals that the count must reach."""

from typing import Any

from voting_producer.expected_totals import ExpectedTotals
from voting_producer.pipeline import Times


def build_report(totals: ExpectedTotals, times: Times, *, skipped: int) -> dict[str, Any]:
    """Return the report as a JSON object; `skipped` people were malformed and not registered."""
    return {
        "started_at": times.started_at,
        "finished_at": times.finished_at,
        "registered": totals.registered,
        "sent": totals.sent,
        "skipped": skipped,
        "votes": totals.votes,
        "candidates": totals.votes_by_name(),
        "locations": dict(sorted(totals.per_location.items())),
    }
