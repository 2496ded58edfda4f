"""What the demo is asked to do."""

from pathlib import Path

import attrs

__all__ = ["DemoOptions"]


@attrs.frozen(kw_only=True)
class DemoOptions:
    """The command line, with its defaults filled in.

    Attributes:
        source: `results`, `synthetic` or `random-user`.
        results: Results file to replay.
        year: Year to replay of a results file that holds several.
        office: Office to replay of a results file that holds several.
        scale: Votes in the results file for each vote cast.
        voters: Number of people who vote, for the other sources.
        rate: Most voters a second; 0 for no limit.
        seed: Seed of the voters, for the other sources.
        api_url: Where the Random User API is, None for the real one.
        headless: Run to the end and exit; no browser is opened.
        summary: File for the summary.
        port: The dashboard's port; 0 for a free one.
    """

    source: str
    results: Path
    year: str | None
    office: str | None
    scale: int
    voters: int
    rate: float
    seed: str
    api_url: str | None
    headless: bool
    summary: Path | None
    port: int
