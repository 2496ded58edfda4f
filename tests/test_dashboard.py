"""The dashboard in a real browser while an election is counted."""

import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from testkit.processes import running_demo

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of the installed Chromium."""
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        if os.environ.get("VOTING_TEST_BROWSER") == "required":
            pytest.fail("no Chromium is installed, but VOTING_TEST_BROWSER requires one")
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser.new_page(viewport={"width": 1280, "height": 1500})
        browser.close()


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
        expect(metric).not_to_contain_text(f"{first:,}", timeout=60_000)
        assert counted_votes(page) > first
        expect(page.get_by_text("California").first).to_be_visible()
        page.screenshot(path=tmp_path / "dashboard.png")
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=60) == 130
