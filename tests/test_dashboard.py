"""The dashboard in a real browser while an election is counted."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from testkit.browser import open_page
from testkit.processes import running_demo


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of the installed Chromium."""
    with open_page() as page:
        yield page


def counted_votes(page: Page) -> int:
    """The number of votes that the dashboard shows."""
    text = page.get_by_test_id("stMetric").first.inner_text()
    return int(re.sub(r"\D", "", text.splitlines()[-1]))


def test_votes_appear_while_they_are_counted(page: Page, tmp_path: Path) -> None:
    """The number of votes rises while the page is open, and Ctrl-C ends everything."""
    with running_demo("--source=synthetic", "--voters=1000000", "--rate=500") as (demo, output):
        address = output.wait_for("dashboard is at", timeout=120).split()[-1]
        page.goto(address)
        metric = page.get_by_test_id("stMetric").first
        expect(metric).to_contain_text(re.compile(r"[1-9]"), timeout=240_000)
        first = counted_votes(page)
        assert first > 0
        expect(metric).not_to_contain_text(f"{first:,}", timeout=180_000)
        assert counted_votes(page) > first
        expect(page.get_by_text("California").first).to_be_visible()
        page.screenshot(path=tmp_path / "dashboard.png")
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=180) == 130
