"""Fixtures of the producer's tests."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import stamina.instrumentation
import structlog

HEADER = "year,state,county_name,county_fips,office,candidate,party,candidatevotes,totalvotes"


@pytest.fixture(autouse=True)
def _plain_logging() -> Iterator[None]:
    """Log as the command does, without stamina's own log, and restore everything afterwards."""
    root = logging.getLogger()
    before = root.handlers, root.level
    structlog.reset_defaults()
    stamina.instrumentation.set_on_retry_hooks(())
    yield
    root.handlers, root.level = before
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()
    stamina.instrumentation.set_on_retry_hooks(None)


@pytest.fixture
def results_2020() -> Path:
    """The 2020 US presidential election by county."""
    return Path(__file__).parents[3] / "infra" / "data" / "us-president-2020-by-county.csv"


@pytest.fixture
def write_results(tmp_path: Path) -> Callable[..., Path]:
    """Write a results file with these rows; the columns that are not used are constant."""

    def write(*rows: tuple[str, str, str, object], year: str = "2020") -> Path:
        path = tmp_path / "results.csv"
        lines = [
            f"{year},{state},A COUNTY,00001,US PRESIDENT,{candidate},{party},{votes},0"
            for state, candidate, party, votes in rows
        ]
        path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
        return path

    return write
