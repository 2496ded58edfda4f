"""What can be set: options, `VOTING_*` variables, or a TOML file, read once at the start."""

from pathlib import Path
from typing import Literal

import attrs
import typed_settings as ts
from attrs.validators import ge, le, min_len, optional

from voting_core.service.health import HEARTBEAT_HELP
from voting_core.service.settings import DatabaseSettings, DrawSettings, KafkaSettings, LogSettings
from voting_producer.slices import Slice

__all__ = ["ProducerSettings", "SourceName"]

SourceName = Literal["results", "synthetic", "random-user"]


def _rate(_: object, attribute: "attrs.Attribute[float]", value: float) -> None:
    if not 0 <= value < float("inf"):
        raise ValueError(f"'{attribute.name}' must be a finite number of 0 or more: {value}")


def _slice(_: object, attribute: "attrs.Attribute[str]", value: str) -> None:
    Slice.parse(value)


@attrs.frozen
class ProducerSettings:
    """Settings of `voting-producer run`.

    Those of the draw are the consumer's; the producer needs them to report what will be drawn.
    """

    source: SourceName | None = ts.option(
        default=None,
        help="Where voters come from: a results file, made up from a seed, or the Random User API."
        " By default results if --results is given, else synthetic.",
    )
    results: Path | None = ts.option(
        default=None,
        help="Results file to replay: CSV with state, candidate, candidatevotes; also party, year,"
        " office.",
    )
    scale: int = ts.option(
        default=1000, validator=ge(1), help="Votes in the results file for each voter."
    )
    year: str | None = ts.option(
        default=None, help="Year to replay of a results file that holds several."
    )
    office: str | None = ts.option(
        default=None, help="Office to replay of a results file that holds several."
    )
    voters: int | None = ts.option(
        default=None,
        validator=optional(ge(1)),
        help="Number of people who vote, 10000 by default; a results file decides it by itself.",
    )
    seed: str = ts.option(
        default="voting",
        validator=min_len(1),
        help="Text that decides who the voters of synthetic and random-user are.",
    )
    slice: str = ts.option(
        default="1/1",
        validator=_slice,
        help="Which part of the election to send, as I/N: with 1/2 here and 2/2 elsewhere two "
        "producers share it.",
    )
    rate: float | None = ts.option(
        default=None,
        validator=optional(_rate),
        help="Voters to send a second; 0, or nothing, for as many as possible.",
    )
    report: Path | None = ts.option(
        default=None, help="File for the report: what was sent, and what must come out (JSON)."
    )
    api_url: str = ts.option(
        default="https://randomuser.me", help="The Random User API, or what answers like it."
    )
    nat: str = ts.option(
        default="", help="Nationalities of random users, such as US,GB; any if not given."
    )
    page_size: int = ts.option(
        default=1000, validator=[ge(1), le(5000)], help="Random users to ask for at once, 1-5000."
    )
    heartbeat: Path | None = ts.option(default=None, help=HEARTBEAT_HELP)
    kafka: KafkaSettings = ts.option(factory=KafkaSettings)
    database: DatabaseSettings = ts.option(factory=DatabaseSettings)
    draw: DrawSettings = ts.option(factory=DrawSettings)
    log: LogSettings = ts.option(factory=LogSettings)
