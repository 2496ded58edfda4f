"""Fixtures: a small election."""

from datetime import UTC, datetime

import pytest

from voting_dashboard.snapshot import Candidate
from voting_dashboard.tally import Count, Register

NEWEST = datetime(2026, 11, 22, 11, 39, tzinfo=UTC)


@pytest.fixture
def count() -> Count:
    """Three candidates, two locations, 60 votes."""
    return Count(
        candidates=(
            Candidate("c1", "Ada", "Unity", 20),
            Candidate("c2", "Ben", "Reform", 30),
            Candidate("c3", "Cleo", "Green", 10),
        ),
        votes_by_location={"North": 40, "South": 20},
        votes_by_location_and_candidate={
            "North": {"c1": 10, "c2": 25, "c3": 5},
            "South": {"c1": 10, "c2": 5, "c3": 5},
        },
        newest=NEWEST,
    )


@pytest.fixture
def register() -> Register:
    """120 voters in three locations, and a fourth candidate that nobody has voted for."""
    return Register(
        voters_by_location={"North": 50, "South": 40, "West": 30},
        candidates=tuple(
            Candidate(id_, name, party, 0)
            for id_, name, party in (
                ("c1", "Ada", "Unity"),
                ("c2", "Ben", "Reform"),
                ("c3", "Cleo", "Green"),
                ("c4", "Dov", "Hope"),
            )
        ),
    )
