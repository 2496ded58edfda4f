"""The checkpoints in `voting_progress`: up to where decisions on `voters_topic` are published."""

from collections.abc import Iterable, Mapping

import attrs
import msgspec

from voting_core.exceptions import SerializationError
from voting_core.foreign import ForeignRecord, ForeignRecords
from voting_core.serialization import compound_key, decode_object, structure
from voting_core.topics import REJECTED_VOTES, VOTERS, VOTES, VOTING_PROGRESS, TopicSpec


@attrs.frozen
class OutputPosition:
    """Up to where an output topic holds the decisions on one partition of `voters_topic`.

    Attributes:
        topic_id: Id of the output topic; a topic that was recreated has another one.
        next_offset: First offset of the input partition whose decision is not published.
    """

    topic_id: str
    next_offset: int


@attrs.frozen
class PartitionCheckpoint:
    """The checkpoint of one partition of `voters_topic`."""

    voters_topic_id: str
    partition: int
    votes: OutputPosition
    rejected_votes: OutputPosition

    @property
    def published_end(self) -> int:
        """First offset whose decision is on neither output topic; 0 if none is published."""
        return max(self.votes.next_offset, self.rejected_votes.next_offset)

    @property
    def next_offset(self) -> int:
        """First offset whose decision is missing from one of the output topics."""
        return min(self.votes.next_offset, self.rejected_votes.next_offset)

    def advanced_to(self, offset: int) -> "PartitionCheckpoint":
        """Return the checkpoint after both output topics received everything before an offset."""

        def advanced(output: OutputPosition) -> OutputPosition:
            return attrs.evolve(output, next_offset=max(output.next_offset, offset))

        return attrs.evolve(
            self, votes=advanced(self.votes), rejected_votes=advanced(self.rejected_votes)
        )

    @property
    def key(self) -> bytes:
        """The record's key."""
        return compound_key(self.voters_topic_id, self.partition)


def encode_checkpoint(checkpoint: PartitionCheckpoint) -> bytes:
    """Return a checkpoint as a value of `voting_progress`."""
    return msgspec.json.encode({"next_offset": checkpoint.next_offset, **attrs.asdict(checkpoint)})


def decode_checkpoint(key: bytes | None, value: bytes | None) -> PartitionCheckpoint:
    """Return the checkpoint that a record of `voting_progress` holds.

    Raises:
        SerializationError: The record is not a checkpoint.
    """
    checkpoint = structure(decode_object(value), PartitionCheckpoint)
    offsets = (checkpoint.votes.next_offset, checkpoint.rejected_votes.next_offset)
    if min(checkpoint.partition, *offsets) < 0:
        raise SerializationError("a partition or an offset is negative")
    if checkpoint.partition >= 2**31 or max(offsets) >= 2**63:
        raise SerializationError("a partition or an offset is larger than Kafka's")
    if key != checkpoint.key:
        raise SerializationError("the key is not that of the partition")
    return checkpoint


@attrs.define
class PublishedCheckpoints:
    """The content of `voting_progress`, applied record by record.

    A position in an output topic never goes back, and never returns to another topic: decisions
    would be published twice. A record that says so is foreign.

    Attributes:
        topic_ids: The present ids of `voters_topic` and of the output topics, by name.
        foreign: Records that are no checkpoints.
    """

    topic_ids: Mapping[str, str]
    foreign: ForeignRecords = attrs.field(factory=ForeignRecords)
    _latest: dict[tuple[str, int], PartitionCheckpoint] = attrs.field(factory=dict)

    def apply(self, key: bytes | None, value: bytes | None) -> PartitionCheckpoint:
        """Apply a record and return its checkpoint.

        Raises:
            SerializationError: The record is no checkpoint, or cannot follow the one before.
        """
        checkpoint = decode_checkpoint(key, value)
        partition = (checkpoint.voters_topic_id, checkpoint.partition)
        before = self._latest.get(partition)
        if before is not None:
            self._check_successor(VOTES, before.votes, checkpoint.votes)
            self._check_successor(REJECTED_VOTES, before.rejected_votes, checkpoint.rejected_votes)
        self._latest[partition] = checkpoint
        return checkpoint

    def _check_successor(
        self, topic: TopicSpec, before: OutputPosition, after: OutputPosition
    ) -> None:
        if after.topic_id == before.topic_id and after.next_offset < before.next_offset:
            raise SerializationError(
                f"the checkpoint goes back from {before.next_offset} to {after.next_offset}"
            )
        if after.topic_id != before.topic_id == self.topic_ids[topic.name]:
            raise SerializationError(
                f"the checkpoint is of another {topic.name}, with the id {after.topic_id}"
            )

    @property
    def present(self) -> dict[int, PartitionCheckpoint]:
        """The checkpoint of each partition of the present `voters_topic`."""
        voters_id = self.topic_ids[VOTERS.name]
        return {
            partition: checkpoint
            for (topic_id, partition), checkpoint in self._latest.items()
            if topic_id == voters_id
        }

    @property
    def next_offsets(self) -> dict[tuple[str, int], int]:
        """The next offset of each partition of each `voters_topic`, by topic id and partition."""
        return {partition: each.next_offset for partition, each in self._latest.items()}


def collect_checkpoints(
    records: Iterable[tuple[tuple[int, int], bytes | None, bytes | None]],
    topic_ids: Mapping[str, str],
) -> PublishedCheckpoints:
    """Return the checkpoints in records of `voting_progress`.

    Args:
        records: In order: partition and offset, key and value.
        topic_ids: The present ids of `voters_topic` and of the output topics, by name.
    """
    checkpoints = PublishedCheckpoints(topic_ids)
    for position, key, value in records:
        try:
            checkpoints.apply(key, value)
        except SerializationError as error:
            checkpoints.foreign.add(ForeignRecord(VOTING_PROGRESS.name, *position, str(error)))
    return checkpoints
