"""Reading the aggregate topics while the stream may be writing them.

The stream writes the totals of a micro-batch, and with them `aggregated_progress`, record by
record, without an order between topics. A reader can therefore observe a part of a batch. Three
facts identify it:

* Between two batches, the totals of every grouping add up to the count of `aggregated_progress`.
  Within a batch, all of them do so only by coincidence, and briefly.
* A batch ends before the next one begins: when the progress of a partition has a successor, every
  total includes all records up to the older of the two.
* No total exceeds the votes on a `votes_topic` that is read afterwards.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import attrs
from confluent_kafka.admin import AdminClient

from voting_core import topics
from voting_core.aggregates import AggregateView, RegressedTotal, check_total
from voting_core.exceptions import SerializationError
from voting_core.kafka import offset_ranges, position, read_to_end
from voting_core.operator.reconcile.differences import KINDS
from voting_core.operator.vote_counts import NamedCandidate, VoteCounts, count_aggregates
from voting_core.serialization import decode_object
from voting_core.service.settings import KafkaSettings

PAUSE_SECONDS = 0.5
MAX_WAIT_SECONDS = 60.0


@attrs.frozen
class PartitionProgress:
    """Up to where the aggregates count a partition of `votes_topic`.

    Attributes:
        last_offset: The last record that is counted.
        votes: Number of records up to it.
        certain_offset: The last record that every total includes; -1 for none.
    """

    last_offset: int
    votes: int
    certain_offset: int


@attrs.frozen
class AggregateTotals:
    """The aggregates of one `votes_topic`.

    Attributes:
        counts: The highest totals.
        candidates: The candidates as the totals name them.
        regressed: Keys whose last total is not their highest.
        unreadable: Records that are not totals, as `topic partition@offset: reason`.
        ends: The end of each topic and partition when reading began.
    """

    counts: VoteCounts
    candidates: frozenset[NamedCandidate]
    partitions: Mapping[int, PartitionProgress]
    regressed: Sequence[RegressedTotal]
    unreadable: Sequence[str]
    ends: Mapping[tuple[str, int], int]

    @property
    def complete_kinds(self) -> frozenset[str]:
        """The kinds of figures whose totals add up to the count of `aggregated_progress`."""
        counts = self.counts
        dimensions = {"gender", "age_band"} | {name for name, _ in counts.demographics}
        sums: dict[str, set[int]] = {
            "votes": {counts.votes},
            "candidate": {counts.votes},
            "location": {sum(counts.locations.values())},
            "location and candidate": {sum(counts.candidates_by_location.values())},
            "demographic": {
                sum(votes for (name, _), votes in counts.demographics.items() if name == dimension)
                for dimension in dimensions
            },
            "minute and candidate": {sum(counts.minutes.values())},
        }
        votes = sum(partition.votes for partition in self.partitions.values())
        return frozenset(kind for kind, found in sums.items() if found == {votes})

    @property
    def is_complete(self) -> bool:
        """Whether these are totals between two batches, of a stream that is not catching up."""
        return self.complete_kinds == KINDS and not self.regressed


def aggregate_ends(admin: AdminClient) -> dict[tuple[str, int], int]:
    """Return the current end of each partition of the aggregate topics."""
    return {
        (topic.name, partition): offsets.end
        for topic in topics.AGGREGATES
        for partition, offsets in offset_ranges(admin, topic.name).items()
    }


def read_totals(
    settings: KafkaSettings, admin: AdminClient, votes_topic_id: str
) -> AggregateTotals:
    """Read every aggregate topic once."""
    view = AggregateView(votes_topic_id)
    offsets: dict[int, list[int]] = {}
    unreadable = []
    ends = aggregate_ends(admin)
    for topic in topics.AGGREGATES:
        for message in read_to_end(settings, admin, topic.name):
            value = message.value() or b""
            try:
                row = decode_object(value)
                check_total(topic.name, row)
            except SerializationError as error:
                partition, offset = position(message)
                unreadable.append(f"{topic.name} {partition}@{offset}: {error}")
                continue
            raised = view.apply(topic.name, message.key() or b"", value)
            if raised and topic is topics.AGGREGATED_PROGRESS:
                offsets.setdefault(row["partition"], [-1]).append(row["last_offset"])
    return AggregateTotals(
        counts=count_aggregates(view),
        candidates=frozenset(
            (row["candidate_id"], row["candidate_name"], row["party_affiliation"])
            for row in view.rows(topics.VOTES_PER_CANDIDATE.name)
        ),
        partitions={
            row["partition"]: PartitionProgress(
                row["last_offset"], row["total_votes"], offsets[row["partition"]][-2]
            )
            for row in view.rows(topics.AGGREGATED_PROGRESS.name)
        },
        regressed=view.regressed(),
        unreadable=unreadable,
        ends=ends,
    )


def settled(
    read: Callable[[], AggregateTotals],
    timeout: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[AggregateTotals, bool]:
    """Read the totals until they are complete, or until they no longer change.

    Returns:
        The totals, and whether they are settled: complete, or unchanged for `timeout` seconds. If
        not, they are still being written.
    """
    totals = read()
    began = changed = clock()
    while not totals.is_complete:
        now = clock()
        if now - changed >= timeout:
            return totals, True
        if now - began >= MAX_WAIT_SECONDS:
            return totals, False
        sleep(min(PAUSE_SECONDS, timeout))
        before, totals = totals, read()
        if totals.ends != before.ends:
            changed = clock()
    return totals, True
