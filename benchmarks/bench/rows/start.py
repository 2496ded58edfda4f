"""Seconds from the start of the demo to the first counted vote on its page."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import attrs
from playwright.sync_api import Page

from bench.context import Context
from bench.results import Figure, Goal, Row
from bench.rounds import run_rounds
from testkit.chromium import CHROMIUM_NAMES, find_chromium, run_chromium
from voting_core.exceptions import SetupError
from voting_infra.service_commands import environment_without_settings

__all__ = ["measure"]

MOST_SECONDS = 15
STOP_SECONDS = 60.0
_TIMEOUT_SECONDS = 180.0
# The page shows a dash or nothing before the first vote.
_COUNTED = re.compile(r"\b[1-9][\d,]*\b")


@attrs.frozen
class _Start:
    seconds: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s"


def measure(context: Context) -> Row:
    """Measure the start after one that has recorded the class archives and filled the caches."""
    with _browser() as page:
        for _ in range(context.sizes.warm_starts):
            context.print_line(f"  {_start(page)} to warm up")
        runs = run_rounds(
            {"ours": partial(_start, page)}, context.sizes.slow_rounds, context.print_line
        )
    ours = Figure.of([run.seconds for run in runs["ours"]])
    return Row(
        name="start",
        unit="s",
        ours=ours,
        more_is_better=False,
        goals=[Goal.below(f"< {MOST_SECONDS} s", ours.median, MOST_SECONDS)],
        rounds=context.sizes.slow_rounds,
    )


@contextmanager
def _browser() -> Iterator[Page]:
    chromium = find_chromium()
    if chromium is None:
        raise SetupError(
            "the row start looks at the page with a browser, and none of "
            f"{', '.join(CHROMIUM_NAMES)} is installed: install one, or choose other --rows"
        )
    with run_chromium(chromium) as browser:
        yield browser.new_page()


def _start(page: Page) -> _Start:
    # A desktop would open the page as well.
    environ = {k: v for k, v in environment_without_settings().items() if k != "DISPLAY"}
    environ.pop("WAYLAND_DISPLAY", None)
    started = time.monotonic()
    demo = subprocess.Popen(
        [sys.executable, "-m", "voting_infra.demo"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert demo.stdout is not None
        for line in demo.stdout:
            if address := re.search(r"The dashboard is at (\S+)", line):
                break
        else:
            raise RuntimeError(f"the demo ended with {demo.wait()} before it had a dashboard")
        _await_first_vote(page, address[1], demo)
        return _Start(time.monotonic() - started)
    finally:
        demo.send_signal(signal.SIGINT)
        try:
            demo.communicate(timeout=STOP_SECONDS)
        finally:
            demo.kill()


def _await_first_vote(page: Page, address: str, demo: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    page.goto(address, timeout=1000 * _TIMEOUT_SECONDS)
    metric = page.get_by_test_id("stMetricValue").first
    while not (metric.count() and _COUNTED.search(metric.inner_text())):
        if demo.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the demo showed no counted vote")
        page.wait_for_timeout(50)
