"""Settings of the producer."""

from pathlib import Path
from typing import Literal

import attrs
import typed_settings as ts
from attrs.validators import and_, ge, le, lt, min_len, optional

from voting_core.service.health import HEARTBEAT_HELP
from voting_core.service.settings import DatabaseSettings, DrawSettings, KafkaSettings, LogSettings
from voting_producer.shards import Shard

SourceName = Literal["results", "synthetic", "random-user"]


def _slice(_: object, attribute: "attrs.Attribute[str]", value: str) -> None:
    Shard.parse(value)


@attrs.frozen
class ProducerSettings:
    """Settings of `voting-producer run`.

    The draw is the election's; the report computes the expected totals with it.
    """

    source: SourceName | None = ts.option(
        default=None,
        help="Source of the voters: a results file, synthetic voters from a seed, or the Random "
        "User API. By default results if --results is given, else synthetic.",
    )
    results: Path | None = ts.option(
        default=None,
        help="Results file to replay: CSV with the columns state, candidate and candidatevotes, "
        "and optionally party, year and office.",
    )
    scale: int = ts.option(
        default=1000, validator=ge(1), help="Number of votes in the results file per ballot sent."
    )
    year: str | None = ts.option(
        default=None, help="Year to replay, for a results file with several."
    )
    office: str | None = ts.option(
        default=None, help="Office to replay, for a results file with several."
    )
    voters: int | None = ts.option(
        default=None,
        validator=optional(ge(1)),
        help="Number of ballots to send, 10000 by default; not used with a results file.",
    )
    seed: str = ts.option(
        default="voting",
        validator=min_len(1),
        help="Seed of the synthetic and random-user voters: any text.",
    )
    slice: str = ts.option(
        default="1/1",
        validator=_slice,
        help="Part of the election to send, as I/N: two producers with 1/2 and 2/2 share it.",
    )
    rate: float | None = ts.option(
        default=None,
        validator=optional(and_(ge(0), lt(float("inf")))),
        help="Maximum number of ballots per second; 0 or not set for no limit.",
    )
    report: Path | None = ts.option(
        default=None, help="File for the report (JSON): what was sent, and the expected totals."
    )
    api_url: str = ts.option(
        default="https://randomuser.me", help="URL of the Random User API or a compatible server."
    )
    nat: str = ts.option(
        default="", help="Nationalities of random users, such as US,GB; any if not set."
    )
    page_size: int = ts.option(
        default=1000,
        validator=[ge(1), le(5000)],
        help="Number of random users per request, 1-5000.",
    )
    heartbeat: Path | None = ts.option(default=None, help=HEARTBEAT_HELP)
    kafka: KafkaSettings = ts.option(factory=KafkaSettings)
    database: DatabaseSettings = ts.option(factory=DatabaseSettings)
    draw: DrawSettings = ts.option(factory=DrawSettings)
    log: LogSettings = ts.option(factory=LogSettings)
