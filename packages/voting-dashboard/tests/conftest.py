"""Fixtures: a small election, and ports to serve the page on."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from voting_dashboard.view_model import Candidate, VoterRegister, VoteTotals


@pytest.fixture
def totals() -> VoteTotals:
    """Three candidates, two locations, 60 votes."""
    return VoteTotals(
        votes={
            "North": {"c1": 10, "c2": 25, "c3": 5},
            "South": {"c1": 10, "c2": 5, "c3": 5},
        },
        candidates=(
            Candidate("c1", "Ada", "Unity", 0),
            Candidate("c2", "Ben", "Reform", 0),
            Candidate("c3", "Cleo", "Green", 0),
        ),
        newest=datetime(2026, 11, 22, 11, 39, tzinfo=UTC),
    )


@pytest.fixture
def register() -> VoterRegister:
    """120 voters in three locations, and a fourth candidate without votes."""
    return VoterRegister(
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


@pytest.fixture
def used_port() -> Iterator[int]:
    """A port on which a socket listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    """A port on which no socket listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
