"""How many of each service an election needs, from what one of each was seen to do."""

import math
from collections.abc import Sequence

import attrs

__all__ = ["DEMANDS", "Demand", "Measured", "Need", "needs"]


@attrs.frozen
class Measured:
    """What so many of each service did together on one machine, in votes a second.

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
    """An election's rate.

    Attributes:
        name: What it is.
        rate: Votes a second.
    """

    name: str
    rate: float


@attrs.frozen
class Need:
    """What a demand takes if each service has as much of a machine as when it was measured.

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
MORE = 100

_AVERAGE = VOTES / (HOURS * 3600)

DEMANDS = tuple(
    Demand(name, _AVERAGE * factor)
    for name, factor in (
        (f"{VOTES / 1e6:.0f} million votes in {HOURS} hours", 1),
        (f"the same, peak of {PEAK} times that", PEAK),
        (f"{MORE} times as many votes", MORE),
        (f"{MORE} times as many votes, peak", MORE * PEAK),
    )
)


def needs(measured: Measured, demands: Sequence[Demand] = DEMANDS) -> list[Need]:
    """Return what each demand takes.

    Args:
        measured: What so many of each managed; best one, which had the machine for itself.
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
