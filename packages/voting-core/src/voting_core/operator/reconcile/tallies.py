"""Reading the aggregate topics while the stream may be writing them.

The stream writes the totals of a micro-batch record by record, in no order between the topics, and
`aggregated_progress` among them. So a reader can come upon half a batch. Three facts tell:

* Between two batches the totals of every grouping add up to what `aggregated_progress` counts;
  within a batch all of them do so by chance only, and not for long.
* One batch ends before the next begins: when a partition's progress has a successor, everything
  up to the older of the two is in every total.
* No total holds more votes than `votes_topic` does when it is read afterwards.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from confluent_kafka.admin import AdminClient

from voting_core import topics
from voting_core.aggregates import AggregateView, RegressedTotal
from voting_core.exceptions import SerializationError
from voting_core.kafka import offset_ranges, position, read_to_end
from voting_core.operator.counts import Count, count_view
from voting_core.serialization import decode_object
from voting_core.service.settings import KafkaSettings

__all__ = ["PartitionTally", "Tallies", "log_ends", "read_tallies", "settled"]

PAUSE_SECONDS = 0.5
LONGEST_SECONDS = 60.0

_FIELDS: dict[str, Mapping[str, type]] = {
    topics.VOTES_PER_CANDIDATE.name: {
        "candidate_id": str,
        "candidate_name": str,
        "party_affiliation": str,
    },
    topics.TURNOUT_BY_LOCATION.name: {"state": str},
    topics.VOTES_PER_CANDIDATE_BY_LOCATION.name: {"state": str, "candidate_id": str},
    topics.TURNOUT_BY_DEMOGRAPHIC.name: {"dimension": str, "value": str},
    topics.VOTES_OVER_TIME.name: {"minute": str, "candidate_id": str},
    topics.AGGREGATED_PROGRESS.name: {"partition": int, "last_offset": int},
}


@attrs.frozen
class PartitionTally:
    """How far a partition of `votes_topic` is counted.

    Attributes:
        last_offset: The last record that is counted.
        votes: Number of records up to it.
        certain_offset: The last record that is certainly in every total; -1 for none.
    """

    last_offset: int
    votes: int
    certain_offset: int


@attrs.frozen
class Tallies:
    """What the aggregate topics say of one `votes_topic`.

    Attributes:
        count: The highest totals.
        candidates: Id, name and party as the totals name them.
        partitions: How far each partition is counted.
        regressed: Keys whose last total is not their highest.
        unreadable: Records that are no totals: `topic partition@offset: why`.
        ends: Where each topic and partition ended when reading began.
    """

    count: Count
    candidates: frozenset[tuple[str, str, str]]
    partitions: Mapping[int, PartitionTally]
    regressed: Sequence[RegressedTotal]
    unreadable: Sequence[str]
    ends: Mapping[tuple[str, int], int]

    @property
    def votes(self) -> int:
        """Votes that are counted, as `aggregated_progress` says."""
        return sum(partition.votes for partition in self.partitions.values())

    @property
    def whole_kinds(self) -> frozenset[str]:
        """The kinds of figures whose totals add up to the votes that are counted."""
        count, votes = self.count, self.votes
        sums: dict[str, set[int]] = {
            "votes": {count.votes},
            "candidate": {count.votes},
            "location": {sum(count.locations.values())},
            "location and candidate": {sum(count.candidates_by_location.values())},
            "demographic": {
                sum(n for (name, _), n in count.demographics.items() if name == dimension)
                for dimension in {"gender", "age_band"} | {name for name, _ in count.demographics}
            },
            "minute and candidate": {sum(count.minutes.values())},
        }
        return frozenset(kind for kind, found in sums.items() if found == {votes})

    @property
    def is_whole(self) -> bool:
        """Whether these are the totals between two batches, of a stream that does not repeat."""
        return len(self.whole_kinds) == 6 and not self.regressed


def log_ends(admin: AdminClient) -> dict[tuple[str, int], int]:
    """Return where each partition of the aggregate topics ends now."""
    return {
        (topic.name, partition): span.end
        for topic in topics.AGGREGATES
        for partition, span in offset_ranges(admin, topic.name).items()
    }


def read_tallies(settings: KafkaSettings, admin: AdminClient, votes_topic_id: str) -> Tallies:
    """Read every aggregate topic once."""
    view = AggregateView(votes_topic_id)
    offsets: dict[int, list[int]] = {}
    unreadable = []
    ends = log_ends(admin)
    for topic in topics.AGGREGATES:
        for message in read_to_end(settings, admin, topic.name):
            partition, offset = position(message)
            value = message.value() or b""
            try:
                row = _total(topic.name, value)
            except SerializationError as error:
                unreadable.append(f"{topic.name} {partition}@{offset}: {error}")
                continue
            if (
                view.apply(topic.name, message.key() or b"", value)
                and topic is topics.AGGREGATED_PROGRESS
            ):
                offsets.setdefault(row["partition"], [-1]).append(row["last_offset"])
    return Tallies(
        count=count_view(view),
        candidates=frozenset(
            (row["candidate_id"], row["candidate_name"], row["party_affiliation"])
            for row in view.rows(topics.VOTES_PER_CANDIDATE.name)
        ),
        partitions={
            row["partition"]: PartitionTally(
                row["last_offset"], row["total_votes"], offsets[row["partition"]][-2]
            )
            for row in view.rows(topics.AGGREGATED_PROGRESS.name)
        },
        regressed=view.regressed(),
        unreadable=unreadable,
        ends=ends,
    )


def _total(topic: str, value: bytes) -> dict[str, Any]:
    row = decode_object(value)
    wanted: dict[str, type] = {**_FIELDS[topic], "total_votes": int, "votes_topic_id": str}
    for name, kind in wanted.items():
        if type(row.get(name)) is not kind:
            raise SerializationError(
                f"{name}: expected a {'text' if kind is str else 'whole number'}"
            )
    return row


def settled(
    read: Callable[[], Tallies],
    patience: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Tallies, bool]:
    """Read the totals until they are whole, or stand still though they are not.

    Args:
        read: Reads them once.
        patience: Seconds without a new record after which they stand still.
        clock: What the time is, in seconds.
        sleep: Waits for a number of seconds.

    Returns:
        The totals, and whether they are whole or stand still; if not, they are being written.
    """
    tallies = read()
    began = changed = clock()
    while not tallies.is_whole:
        now = clock()
        if now - changed >= patience:
            return tallies, True
        if now - began >= LONGEST_SECONDS:
            return tallies, False
        sleep(min(PAUSE_SECONDS, patience))
        before, tallies = tallies, read()
        if tallies.ends != before.ends:
            changed = clock()
    return tallies, True
