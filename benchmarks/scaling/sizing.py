"""The number of services that an election needs, from measured rates."""

import math
from collections.abc import Sequence

import attrs

__all__ = ["DEMANDS", "Demand", "Measured", "Need", "needs"]


@attrs.frozen
class Measured:
    """What a number of services of each kind did together on one machine, in votes per second.

    Attributes:
        count: Partitions of each log topic, producers, consumers, and cores of the stream.
        producers: Ballots sent.
        consumers: Ballots decided, stored and published.
        stream: Votes tallied.
    """

    count: int
    producers: float
    consumers: float
    stream: float


@attrs.frozen
class Demand:
    """The rate that an election demands.

    Attributes:
        name: The election in words.
        rate: Votes per second.
    """

    name: str
    rate: float


@attrs.frozen
class Need:
    """The services that meet a demand, each with as much of a machine as when measured.

    Attributes:
        producers: Slices of the election.
        consumers: Consumers, and partitions of the log topics.
        stream_cores: Cores of the Spark cluster.
    """

    demand: Demand
    producers: int
    consumers: int
    stream_cores: int


VOTES = 160_000_000
HOURS = 12
PEAK = 10
LARGER = 100

_AVERAGE = VOTES / (HOURS * 3600)

DEMANDS = tuple(
    Demand(name, _AVERAGE * factor)
    for name, factor in (
        (f"{VOTES / 1e6:.0f} million votes in {HOURS} hours", 1),
        (f"the same, peak of {PEAK} times that", PEAK),
        (f"{LARGER} times as many votes", LARGER),
        (f"{LARGER} times as many votes, peak", LARGER * PEAK),
    )
)


def needs(measured: Measured, demands: Sequence[Demand] = DEMANDS) -> list[Need]:
    """Return the services that each demand requires.

    Args:
        measured: The measured rates; best of one service each, which had the machine to itself.
        demands: Rates to be met.
    """
    return [
        Need(
            demand,
            producers=math.ceil(demand.rate * measured.count / measured.producers),
            consumers=math.ceil(demand.rate * measured.count / measured.consumers),
            stream_cores=math.ceil(demand.rate * measured.count / measured.stream),
        )
        for demand in demands
    ]
