"""Tests of sorting and paging the locations."""

import pytest

from voting_dashboard.location_table import COLUMNS, sort_locations, table_page
from voting_dashboard.view_model import Location

LOCATIONS = [
    Location("b", 5, 10, ("Zoe",)),
    Location("A", 7, 100, ("Ada", "Zoe")),
    Location("c", 5, 5, ()),
]


@pytest.mark.parametrize(
    ("column", "descending", "expected"),
    [
        ("Location", False, "Abc"),
        ("Location", True, "cbA"),
        ("Votes", False, "bcA"),
        ("Votes", True, "Abc"),
        ("Registered", False, "cbA"),
        ("Turnout", True, "cbA"),
        ("Leading", False, "Abc"),
        ("Leading", True, "bAc"),
    ],
)
def test_sort(column: str, descending: bool, expected: str) -> None:
    """Every column sorts both ways: equal values by name, unknown values last."""
    found = sort_locations(LOCATIONS, column, descending=descending)
    assert "".join(location.state for location in found) == expected


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("descending", [False, True])
def test_sort_with_unknown_register(column: str, descending: bool) -> None:
    """A location without a known register is last, or sorted by what is known."""
    unknown = Location("d", 1, None, ("Ada",))
    found = sort_locations([unknown, *LOCATIONS], column, descending=descending)
    assert set(found) == {unknown, *LOCATIONS}
    if column in ("Registered", "Turnout"):
        assert found[-1] == unknown


@pytest.mark.parametrize(
    ("number", "states", "shown"),
    [(1, "Ab", 1), (2, "c", 2), (9, "c", 2), (0, "Ab", 1)],
)
def test_page(number: int, states: str, shown: int) -> None:
    """A number out of range gives the nearest page."""
    ordered = sort_locations(LOCATIONS, "Location", descending=False)
    page = table_page(ordered, number=number, size=2)
    assert "".join(location.state for location in page.rows) == states
    assert (page.number, page.pages, page.total) == (shown, 2, 3)
    assert page.first == 2 * shown - 1


def test_pages_cover_every_row_once() -> None:
    """All pages together are all rows."""
    rows = [Location(f"s{i:02}", i, None, ()) for i in range(51)]
    pages = [table_page(rows, number=n, size=10) for n in range(1, 7)]
    assert [row for page in pages for row in page.rows] == rows
    assert pages[0].pages == 6


def test_no_rows() -> None:
    """Without rows there is one empty page."""
    page = table_page([], number=1, size=10)
    assert (page.rows, page.pages, page.first, page.total) == ((), 1, 0, 0)
