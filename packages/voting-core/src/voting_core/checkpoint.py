"""The checkpoints in `voting_progress`: up to where decisions on `voters_topic` are published."""

from collections.abc import Iterable

import attrs
import orjson

from voting_core.serialization import compound_key, decode_object, structure


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
    return orjson.dumps({"next_offset": checkpoint.next_offset, **attrs.asdict(checkpoint)})


def decode_checkpoint(value: bytes | None) -> PartitionCheckpoint:
    """Return the checkpoint that a value of `voting_progress` holds.

    Raises:
        SerializationError: The value is not a checkpoint.
    """
    return structure(decode_object(value), PartitionCheckpoint)


def latest_checkpoints(
    values: Iterable[bytes | None], voters_topic_id: str
) -> dict[int, PartitionCheckpoint]:
    """Return the last checkpoint of each partition of one `voters_topic`.

    The values are those of all records of `voting_progress`, in order.

    Raises:
        SerializationError: A value is not a checkpoint.
    """
    checkpoints = map(decode_checkpoint, values)
    return {c.partition: c for c in checkpoints if c.voters_topic_id == voters_topic_id}
