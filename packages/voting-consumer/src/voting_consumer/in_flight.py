"""Batches in flight: one is published while the next one is decided.

Each batch runs in a thread of its own. Batches are decided in their order, one at a time, and
published in their order, one at a time. If one is not published, none after it is.
"""

from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from threading import Event

import attrs
from confluent_kafka import TopicPartition

from voting_consumer.batch import Batch
from voting_consumer.decisions import Decider
from voting_consumer.publisher import Publisher, TransactionAborted
from voting_core import topics
from voting_core.checkpoint import PartitionCheckpoint
from voting_core.service.background import run_in_background

MAX_BATCHES = 2

Checkpoints = Mapping[int, PartitionCheckpoint]
"""The checkpoint of each partition."""


@attrs.frozen
class _BatchInFlight:
    """A batch that is decided, then published.

    Attributes:
        after: The checkpoints of all partitions once it is published.
        decided: Done when its decisions are final, or cannot be made.
        published: Done when it is published, or has failed.
    """

    records: int
    after: Checkpoints
    decided: "Future[None]"
    published: "Future[None]"


class BatchesInFlight:
    """Decides and publishes batches in threads."""

    def __init__(self, decider: Decider, publisher: Publisher, abandoned: Event) -> None:
        """Begin without a batch.

        Args:
            decider: Makes the decisions final.
            publisher: Publishes them.
            abandoned: Is set when an error of a batch ends the consumer. Once set, nothing more is
                published.
        """
        self._decider = decider
        self._publisher = publisher
        self._abandoned = abandoned
        self._batches: deque[_BatchInFlight] = deque()

    def __len__(self) -> int:
        return len(self._batches)

    @property
    def first_is_done(self) -> bool:
        """Whether there is a batch, and `finish_first` would not wait."""
        return bool(self._batches) and self._batches[0].published.done()

    def begin(self, batch: Batch, confirmed: Checkpoints) -> None:
        """Decide on a batch as soon as the one before is decided, and publish it after that one.

        The number of batches must be less than `MAX_BATCHES`.

        Args:
            batch: The records that follow those of the batch before.
            confirmed: The checkpoints after the last batch that `finish_first` has returned.

        Raises:
            ElectionError: The batch before could not be decided: the database is that of another
                election, or an older backup. Nothing of this batch is decided.
            UnreachableError: The same, because a stop was requested while the database was
                unavailable.
        """
        previous = self._batches[-1] if self._batches else None
        if previous is not None:
            previous.decided.result()
        before = confirmed if previous is None else previous.after
        ranges = batch.ranges
        after = {each.partition: before[each.partition].advanced_to(each.end) for each in ranges}
        # The batch before is decided, though perhaps not published: a database without it is older.
        decided_ends = {partition: each.published_end for partition, each in before.items()}
        decided: Future[None] = Future()

        def decide_and_publish() -> None:
            try:
                decisions = self._decider.decide(batch.records, ranges, decided_ends)
            except BaseException as error:
                decided.set_exception(error)
                raise
            decided.set_result(None)
            if previous is not None and previous.published.exception() is not None:
                raise TransactionAborted("the batch before is not published")
            if self._abandoned.is_set():
                raise TransactionAborted("an error has ended the consumer")
            self._publisher.publish(
                [(each, before[each.records.partition]) for each in decisions],
                [TopicPartition(topics.VOTERS.name, each.partition, each.end) for each in ranges],
                batch.group_metadata,
            )

        published = run_in_background(decide_and_publish, name="decide-and-publish")
        self._batches.append(
            _BatchInFlight(len(batch.records), {**before, **after}, decided, published)
        )

    def finish_first(self) -> tuple[int, Checkpoints]:
        """Wait until the first batch is published.

        If it fails, wait for the others too, and forget them. Unless it was aborted, its error ends
        the consumer, and nothing more is published.

        Returns:
            The number of its records, and the checkpoints after it.

        Raises:
            TransactionAborted: It is not published. Its decisions may be final.
            FatalError: The consumer cannot continue.
            TopicRecreatedError: A topic was recreated; nothing was published.
            ElectionError: The database is that of another election, or an older backup.
            UnreachableError: A stop was requested while the database was unavailable.
        """
        first = self._batches.popleft()
        try:
            first.published.result()
        except BaseException as error:
            if not isinstance(error, TransactionAborted):
                # The consumer ends: it must not wait for the others in an outage of the database.
                self._abandoned.set()
            while self._batches:
                self._batches.popleft().published.exception()
            raise
        return first.records, first.after
