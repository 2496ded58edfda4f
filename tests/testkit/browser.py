"""A page of the installed Chromium."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page

from testkit.chromium import find_chromium, run_chromium

__all__ = ["open_page"]


@contextmanager
def open_page() -> Iterator[Page]:
    """Open an empty page; skip the test if no Chromium is installed and none is required."""
    chromium = find_chromium()
    if chromium is None:
        if os.environ.get("VOTING_TEST_BROWSER") == "required":
            pytest.fail("no Chromium is installed, but VOTING_TEST_BROWSER requires one")
        pytest.skip("no Chromium is installed")
    with run_chromium(chromium) as browser:
        yield browser.new_page(viewport={"width": 1280, "height": 1500})
