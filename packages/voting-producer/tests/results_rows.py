"""Rows of results files, and an independent computation of their totals."""

from collections import Counter

from hypothesis import strategies as st

ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("XY"), st.integers(0, 5000)), max_size=60
)
"""State, candidate and votes of each row."""


def plain_totals(rows: list[tuple[str, str, int]], scale: int) -> dict[tuple[str, str], int]:
    """Add up the votes of each candidate and state, then divide by the scale."""
    totals: Counter[tuple[str, str]] = Counter()
    for state, candidate, votes in rows:
        totals[candidate, state] += votes
    return {key: total // scale for key, total in totals.items() if total // scale}
