"""The table of locations: sorting and paging, which are pure, and its drawing."""

from collections.abc import Callable, Sequence

import attrs
import streamlit as st

from voting_dashboard.view_model import Location
from voting_dashboard.wording import UNKNOWN, escape_markdown, leader, number, percent

COLUMNS: dict[str, Callable[[Location], str | float | None]] = {
    "Location": lambda location: location.state.casefold(),
    "Votes": lambda location: location.votes,
    "Registered": lambda location: location.registered,
    "Turnout": lambda location: location.turnout,
    "Leading": lambda location: " ".join(location.leading).casefold() or None,
}
"""The sort key of each column; None where the value is unknown."""

PAGE_SIZES = (10, 15, 25, 50, 100)
"""Rows per page that a visitor can choose."""


@attrs.frozen
class TablePage:
    """Some of the rows.

    Attributes:
        number: This page's number, from 1.
        pages: Number of pages, at least 1.
        first: Position of its first row among all rows, from 1; 0 without rows.
        total: Number of rows on all pages.
    """

    rows: tuple[Location, ...]
    number: int
    pages: int
    first: int
    total: int


def sort_locations(
    locations: Sequence[Location], column: str, *, descending: bool
) -> list[Location]:
    """Return all locations sorted by a column: unknown values last, equal ones by name."""
    key = COLUMNS[column]
    by_name = sorted(locations, key=lambda location: location.state)
    known = [location for location in by_name if key(location) is not None]
    unknown = [location for location in by_name if key(location) is None]
    # Python's sort is stable in reverse too: equal values stay in alphabetical order.
    return sorted(known, key=key, reverse=descending) + unknown  # type: ignore[arg-type]


def table_page(locations: Sequence[Location], *, number: int, size: int) -> TablePage:
    """Return one page of `size` rows; a number below 1 or too high gives the nearest page."""
    pages = max(1, -(-len(locations) // size))
    number = min(max(1, number), pages)
    start = (number - 1) * size
    rows = tuple(locations[start : start + size])
    return TablePage(rows, number, pages, start + 1 if rows else 0, len(locations))


def draw_location_table(locations: Sequence[Location]) -> None:
    """Draw the controls of the table, and the page of it that they select."""
    with st.container(key="controls"):
        column = st.selectbox("Sort by", list(COLUMNS), key="sort")
        order = st.selectbox("Order", ["Ascending", "Descending"], key="order")
        size = st.selectbox("Rows per page", PAGE_SIZES, index=1, key="size")
    descending = order == "Descending"
    ordered = sort_locations(locations, column, descending=descending)
    page = table_page(ordered, number=st.session_state.get("page", 1), size=size)
    if not page.rows:
        st.caption("No locations yet.")
        return
    arrow = "↓" if descending else "↑"
    titles = {name: f"{name} {arrow}" if name == column else name for name in COLUMNS}
    st.table(
        {
            titles["Location"]: [escape_markdown(location.state) for location in page.rows],
            titles["Votes"]: [number(location.votes) for location in page.rows],
            titles["Registered"]: [number(location.registered) for location in page.rows],
            titles["Turnout"]: [percent(location.turnout) for location in page.rows],
            titles["Leading"]: [
                escape_markdown(leader(location.leading, without_votes=UNKNOWN))
                for location in page.rows
            ],
        },
        border="horizontal",
        hide_index=True,
    )
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        last = page.first + len(page.rows) - 1
        st.caption(f"Locations {page.first} to {last} of {page.total}", width="content")
        st.pagination(page.pages, key="page", width=330)
