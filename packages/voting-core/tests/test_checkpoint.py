"""The checkpoints in voting_progress."""

import json

import pytest

from voting_core.checkpoint import (
    OutputPosition,
    PartitionCheckpoint,
    decode_checkpoint,
    encode_checkpoint,
)
from voting_core.exceptions import SerializationError

PROGRESS = PartitionCheckpoint(
    "T", 3, votes=OutputPosition("V", 10), rejected_votes=OutputPosition("R", 4)
)


def test_a_checkpoint_is_decoded_as_it_was_encoded() -> None:
    """Decoding an encoded checkpoint returns it; the value contains the next offset."""
    assert decode_checkpoint(encode_checkpoint(PROGRESS)) == PROGRESS
    assert json.loads(encode_checkpoint(PROGRESS))["next_offset"] == 4
    assert PROGRESS.key == b'["T",3]'


def test_a_checkpoint_never_goes_back() -> None:
    """Each output keeps its position while the other one catches up."""
    assert PROGRESS.advanced_to(7) == PartitionCheckpoint(
        "T", 3, OutputPosition("V", 10), OutputPosition("R", 7)
    )
    assert PROGRESS.advanced_to(12) == PartitionCheckpoint(
        "T", 3, OutputPosition("V", 12), OutputPosition("R", 12)
    )


def test_an_invalid_checkpoint_is_refused() -> None:
    """A record that is not a checkpoint raises."""
    with pytest.raises(SerializationError, match="votes: required"):
        decode_checkpoint(b'{"voters_topic_id":"T","partition":0}')
