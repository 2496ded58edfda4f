"""Sorting and paging the locations."""

from collections.abc import Callable, Sequence

import attrs

from voting_dashboard.snapshot import Location

__all__ = ["COLUMNS", "Page", "page_of", "sort_locations"]

COLUMNS: dict[str, Callable[[Location], str | float | None]] = {
    "Location": lambda location: location.state.casefold(),
    "Votes": lambda location: location.votes,
    "Registered": lambda location: location.registered,
    "Turnout": lambda location: location.turnout,
    "Leading": lambda location: " ".join(location.leading).casefold() or None,
}
"""What each column of the table sorts by; None is unknown."""


@attrs.frozen
class Page:
    """Some of the rows.

    Attributes:
        number: This page's number, from 1.
        pages: How many pages there are, at least 1.
        first: Position of its first row among all, from 1; 0 when there are none.
        total: How many rows all pages have.
    """

    rows: tuple[Location, ...]
    number: int
    pages: int
    first: int
    total: int


def sort_locations(
    locations: Sequence[Location], column: str, *, descending: bool
) -> list[Location]:
    """Return all locations in the order of a column, the unknown last, equals by name."""
    value = COLUMNS[column]
    by_name = sorted(locations, key=lambda location: location.state)
    known = [location for location in by_name if value(location) is not None]
    unknown = [location for location in by_name if value(location) is None]
    # Python's sort is stable in reverse too: equals stay in alphabetical order.
    return sorted(known, key=value, reverse=descending) + unknown  # type: ignore[arg-type]


def page_of(locations: Sequence[Location], *, number: int, size: int) -> Page:
    """Return one page; a number beyond the last gives the last.

    Args:
        locations: All rows, in order.
        number: Page wanted, from 1.
        size: Rows on a page.
    """
    pages = max(1, -(-len(locations) // size))
    number = min(max(1, number), pages)
    start = (number - 1) * size
    rows = tuple(locations[start : start + size])
    return Page(rows, number, pages, start + 1 if rows else 0, len(locations))
