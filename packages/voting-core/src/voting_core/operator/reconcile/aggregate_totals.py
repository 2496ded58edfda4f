"""Reading the aggregate topics while the stream may be writing them.

The stream writes totals, and with them `aggregated_progress`, record by record, without an order
between topics: those of a micro-batch, or in real-time mode those of each vote. A reader can
therefore observe a part of them. Three facts identify it:

* When nothing is being written, the totals of every grouping add up to the count of
  `aggregated_progress`. Otherwise all of them do so only by coincidence, and briefly.
* A micro-batch ends before the next one begins, and in real-time mode the totals of one vote are
  written within seconds: when the progress of a partition has a successor and is older than
  `SKEW_SECONDS`, every total that is read afterwards includes all records up to it.
* No total exceeds the votes on a `votes_topic` that is read afterwards.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import attrs
from confluent_kafka.admin import AdminClient

from voting_core import topics
from voting_core.aggregates import AggregateView, RegressedTotal
from voting_core.exceptions import SerializationError
from voting_core.foreign import ForeignRecord, ForeignRecords
from voting_core.kafka import position, read_to_end, topic_offset_ranges
from voting_core.operator.reconcile.differences import KINDS
from voting_core.operator.vote_counts import NamedCandidate, VoteCounts, count_aggregates
from voting_core.serialization import decode_object
from voting_core.service.settings import KafkaSettings

PAUSE_SECONDS = 0.5
MAX_WAIT_SECONDS = 60.0
SKEW_SECONDS = 10.0
"""How far apart the stream may write two totals of one vote in real-time mode."""


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
class ProgressRecord:
    """A record of `aggregated_progress`.

    Attributes:
        partition: The partition of `votes_topic`.
        last_offset: The last offset counted there.
        position: The offset of the record itself.
        written_at: When it was written, in seconds since 1970.
    """

    partition: int
    last_offset: int
    position: int
    written_at: float


@attrs.frozen
class AggregateTotals:
    """The aggregates of one `votes_topic`.

    Attributes:
        counts: The highest totals.
        candidates: The candidates as the totals name them.
        regressed: Keys whose last total is not their highest.
        foreign: Records that are not totals.
        sums: The sum of the totals of each grouping; see `AggregateView.sums`.
        ends: The end of each topic and partition when reading began.
    """

    counts: VoteCounts
    candidates: frozenset[NamedCandidate]
    partitions: Mapping[int, PartitionProgress]
    regressed: Sequence[RegressedTotal]
    foreign: ForeignRecords
    ends: Mapping[tuple[str, int], int]
    sums: Mapping[str, int] = attrs.field(factory=dict)

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
        """Whether nothing was being written, by a stream that is not catching up."""
        return self.complete_kinds == KINDS and not self.regressed


def aggregate_ends(admin: AdminClient) -> dict[tuple[str, int], int]:
    """Return the current end of each partition of the aggregate topics."""
    ranges = topic_offset_ranges(admin, [topic.name for topic in topics.AGGREGATES])
    return {partition: offsets.end for partition, offsets in ranges.items()}


def read_totals(
    settings: KafkaSettings, admin: AdminClient, votes_topic_id: str
) -> AggregateTotals:
    """Read every aggregate topic once."""
    view = AggregateView(votes_topic_id)
    progress: list[ProgressRecord] = []
    foreign = ForeignRecords()
    ends = aggregate_ends(admin)
    for topic in topics.AGGREGATES:
        for message in read_to_end(settings, admin, topic.name):
            try:
                raised = view.apply(topic.name, message.key(), message.value())
            except SerializationError as error:
                partition, offset = position(message)
                foreign.add(ForeignRecord(topic.name, partition, offset, str(error)))
                continue
            if raised and topic is topics.AGGREGATED_PROGRESS:
                row = decode_object(message.value())
                progress.append(
                    ProgressRecord(
                        row["partition"],
                        row["last_offset"],
                        position(message)[1],
                        message.timestamp()[1] / 1000,
                    )
                )
    # What is certain must have been written before the other topics were read.
    certain = certain_offsets(
        [each for each in progress if each.position < ends[topics.AGGREGATED_PROGRESS.name, 0]]
    )
    return AggregateTotals(
        counts=count_aggregates(view),
        candidates=frozenset(
            (row["candidate_id"], row["candidate_name"], row["party_affiliation"])
            for row in view.rows(topics.VOTES_PER_CANDIDATE.name)
        ),
        partitions={
            row["partition"]: PartitionProgress(
                row["last_offset"], row["total_votes"], certain.get(row["partition"], -1)
            )
            for row in view.rows(topics.AGGREGATED_PROGRESS.name)
        },
        regressed=view.regressed(),
        foreign=foreign,
        ends=ends,
        sums=view.sums(),
    )


def certain_offsets(progress: Sequence[ProgressRecord]) -> dict[int, int]:
    """Return the last offset of each partition that every total includes, where one is certain.

    Args:
        progress: What was written before the other totals were read, in the order of the topic.
    """
    # Times of one partition only: its records are of one key, so one executor's clock wrote them.
    newest = {each.partition: each.written_at for each in progress}
    certain: dict[int, int] = {}
    previous: dict[int, ProgressRecord] = {}
    for each in progress:
        before = previous.get(each.partition)
        if before is not None and before.written_at <= newest[each.partition] - SKEW_SECONDS:
            certain[each.partition] = before.last_offset
        previous[each.partition] = each
    return certain


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
