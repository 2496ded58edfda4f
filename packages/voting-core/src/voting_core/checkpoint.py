"""The records of `voting_progress`: how far the decisions on `voters_topic` are published."""

from collections.abc import Iterable

import attrs
import orjson

from voting_core.serialization import compound_key, decode_object, structure

__all__ = [
    "OutputPosition",
    "PartitionCheckpoint",
    "decode_checkpoint",
    "encode_checkpoint",
    "latest_checkpoints",
]


@attrs.frozen
class OutputPosition:
    """How far one output topic holds the decisions on a partition of `voters_topic`.

    Attributes:
        topic_id: The output topic; under another id it is another, empty topic.
        next_offset: First offset of the voters' partition whose decision it does not hold yet.
    """

    topic_id: str
    next_offset: int


@attrs.frozen
class PartitionCheckpoint:
    """What `voting_progress` says of one partition of `voters_topic`."""

    voters_topic_id: str
    partition: int
    votes: OutputPosition
    rejected_votes: OutputPosition

    @property
    def next_offset(self) -> int:
        """First offset whose decision is missing from at least one output topic."""
        return min(self.votes.next_offset, self.rejected_votes.next_offset)

    def advanced_to(self, offset: int) -> "PartitionCheckpoint":
        """Return the progress once both output topics hold everything before an offset."""

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
    """Return a progress record's value."""
    return orjson.dumps({"next_offset": checkpoint.next_offset, **attrs.asdict(checkpoint)})


def decode_checkpoint(value: bytes | None) -> PartitionCheckpoint:
    """Read a record of `voting_progress`.

    Raises:
        SerializationError: It is no progress record.
    """
    return structure(decode_object(value), PartitionCheckpoint)


def latest_checkpoints(
    values: Iterable[bytes | None], voters_topic_id: str
) -> dict[int, PartitionCheckpoint]:
    """Return the last checkpoint of each partition of one `voters_topic`.

    Args:
        values: The values of all records of `voting_progress`, in their order.
        voters_topic_id: Id of the topic; checkpoints of another one are ignored.

    Raises:
        SerializationError: A record is no checkpoint.
    """
    checkpoints = map(decode_checkpoint, values)
    return {c.partition: c for c in checkpoints if c.voters_topic_id == voters_topic_id}
