"""Which faults are injected, and when: a pure function of a seed and a number of kills."""

import random
from collections.abc import Mapping
from enum import StrEnum

import attrs

__all__ = ["KILLS", "PAUSES", "VICTIMS", "Event", "Kind", "make_schedule"]

_PAUSE_EVERY = 10
_AT_ONCE_SHARE = 0.3


class Kind(StrEnum):
    """A kind of fault; every kind but the pauses ends at least one process with SIGKILL."""

    PRODUCER = "producer"
    CONSUMER = "consumer"
    CONSUMERS = "both consumers"
    STREAM = "stream with its Java"
    STREAM_PYTHON = "stream without its Java"
    STREAM_TAKEOVER = "stream while another waits for its checkpoint"
    KAFKA = "kafka"
    POSTGRES = "postgres"
    ZOMBIE_SAME_NAME = "consumer that resumed beside another of its name"
    ZOMBIE_OTHER_NAME = "stand-in of a consumer that resumed"
    OFFSETS_RESET = "consumers, then their offsets reset"
    OFFSETS_DELETED = "consumers, then their group deleted"
    CHECKPOINT_DELETED = "stream, then its checkpoint deleted"
    PAUSE_CONSUMERS = "pause of both consumers"
    PAUSE_STREAM = "pause of the stream"
    PAUSE_KAFKA = "pause of kafka"
    PAUSE_POSTGRES = "pause of postgres"


VICTIMS = (
    Kind.PRODUCER,
    Kind.CONSUMER,
    Kind.STREAM,
    Kind.KAFKA,
    Kind.POSTGRES,
    Kind.ZOMBIE_SAME_NAME,
)
"""One kind of fault for each kind of process; these occur even in short schedules."""

KILLS: Mapping[Kind, int] = {
    Kind.PRODUCER: 14,
    Kind.CONSUMER: 26,
    Kind.CONSUMERS: 6,
    Kind.STREAM: 8,
    Kind.STREAM_PYTHON: 8,
    Kind.STREAM_TAKEOVER: 2,
    Kind.KAFKA: 10,
    Kind.POSTGRES: 10,
    Kind.ZOMBIE_SAME_NAME: 4,
    Kind.ZOMBIE_OTHER_NAME: 4,
    Kind.OFFSETS_RESET: 2,
    Kind.OFFSETS_DELETED: 2,
    Kind.CHECKPOINT_DELETED: 4,
}
"""How often each kind occurs in a long schedule, in proportion to the others."""

PAUSES = (Kind.PAUSE_CONSUMERS, Kind.PAUSE_KAFKA, Kind.PAUSE_POSTGRES, Kind.PAUSE_STREAM)

# Longer than a consumer's session (6 s), its transaction (10 s), and the broker's interval between
# two checks for expired transactions (10 s).
_PAST_TIMEOUTS = (12.0, 24.0)
_PAUSE = (11.0, 16.0)
_DURATION: Mapping[Kind, tuple[float, float]] = {
    Kind.PRODUCER: (0.5, 4.0),
    Kind.KAFKA: (0.0, 3.0),
    Kind.POSTGRES: (0.0, 3.0),
    Kind.STREAM_TAKEOVER: (10.0, 15.0),
    Kind.ZOMBIE_SAME_NAME: _PAST_TIMEOUTS,
    Kind.ZOMBIE_OTHER_NAME: _PAST_TIMEOUTS,
    Kind.PAUSE_CONSUMERS: _PAST_TIMEOUTS,
    Kind.PAUSE_STREAM: _PAUSE,
    Kind.PAUSE_KAFKA: _PAUSE,
    Kind.PAUSE_POSTGRES: _PAUSE,
}


@attrs.frozen
class Event:
    """One fault.

    Attributes:
        kind: Its kind.
        delay: Seconds to wait before it, after the previous fault was injected.
        choice: 0 or 1: which consumer, or whether offsets are reset to the beginning or the end.
        duration: Seconds that something stays down or paused; the meaning depends on the kind.
    """

    kind: Kind
    delay: float
    choice: int
    duration: float

    @property
    def kills(self) -> bool:
        """Whether it ends a process with SIGKILL."""
        return self.kind in KILLS


def make_schedule(seed: str, kills: int) -> list[Event]:
    """Return the events of a seed.

    Up to six kills are of different processes; thirteen and more are of every kind at least once.
    There is one pause more for every ten kills.

    Args:
        seed: Any text; the same seed gives the same schedule.
        kills: Number of events that kill.
    """
    rng = random.Random(f"{seed}:{kills}")
    victims = list(VICTIMS)
    rng.shuffle(victims)
    others = [kind for kind in KILLS if kind not in VICTIMS]
    rng.shuffle(others)
    kinds = [*victims, *others][:kills]
    kinds += rng.choices(list(KILLS), list(KILLS.values()), k=kills - len(kinds))
    rng.shuffle(kinds)
    for number in range(kills // _PAUSE_EVERY):
        # One pause among every ten kills.
        index = rng.randrange(_PAUSE_EVERY) + number * (_PAUSE_EVERY + 1)
        kinds.insert(index, PAUSES[number % len(PAUSES)])
    return [_make_event(rng, kind) for kind in kinds]


def _make_event(rng: random.Random, kind: Kind) -> Event:
    # Some follow at once, while the pipeline still recovers from the previous fault.
    at_once = rng.random() < _AT_ONCE_SHARE
    return Event(
        kind=kind,
        delay=rng.uniform(0.0, 0.5) if at_once else rng.uniform(2.0, 8.0),
        choice=rng.randrange(2),
        duration=rng.uniform(*_DURATION.get(kind, (0.0, 0.0))),
    )
