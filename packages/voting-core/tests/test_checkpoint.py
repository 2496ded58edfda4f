"""The checkpoints in voting_progress."""

import json

import attrs
import pytest

from voting_core.checkpoint import (
    OutputPosition,
    PartitionCheckpoint,
    collect_checkpoints,
    decode_checkpoint,
    encode_checkpoint,
)
from voting_core.exceptions import SerializationError

PROGRESS = PartitionCheckpoint(
    "T", 3, votes=OutputPosition("V", 10), rejected_votes=OutputPosition("R", 4)
)

IDS = {"voters_topic": "T", "votes_topic": "V", "rejected_votes_topic": "R"}


def test_a_checkpoint_is_decoded_as_it_was_encoded() -> None:
    """Decoding an encoded checkpoint returns it; the value contains the next offset."""
    assert decode_checkpoint(PROGRESS.key, encode_checkpoint(PROGRESS)) == PROGRESS
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


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (PROGRESS.key, b"{}", "required"),
        (PROGRESS.key, None, "no value"),
        (None, encode_checkpoint(PROGRESS), "key"),
        (b'["T",4]', encode_checkpoint(PROGRESS), "key"),
        (PROGRESS.key, encode_checkpoint(PROGRESS).replace(b":10", b":-1"), "negative"),
        (PROGRESS.key, encode_checkpoint(PROGRESS).replace(b":10", b":" + b"9" * 30), "larger"),
    ],
)
def test_an_invalid_checkpoint_is_refused(
    key: bytes | None, value: bytes | None, message: str
) -> None:
    """A record that is not a checkpoint raises."""
    with pytest.raises(SerializationError, match=message):
        decode_checkpoint(key, value)


def test_foreign_records_are_skipped_and_named() -> None:
    """The last checkpoint of each partition counts, whatever is between them."""
    later = PROGRESS.advanced_to(20)
    other = attrs.evolve(PROGRESS, voters_topic_id="former T")
    found = collect_checkpoints(
        [
            ((0, 0), PROGRESS.key, encode_checkpoint(PROGRESS)),
            ((0, 1), b"x", b"{}"),
            ((0, 2), later.key, encode_checkpoint(later)),
            ((0, 3), other.key, encode_checkpoint(other)),
        ],
        IDS,
    )
    assert found.present == {3: later}
    assert found.foreign.by_topic == {"voting_progress": 1}
    (foreign,) = found.foreign.first
    assert (foreign.partition, foreign.offset) == (0, 1)


@pytest.mark.parametrize(
    "forged",
    [
        PartitionCheckpoint("T", 3, OutputPosition("V", 0), OutputPosition("R", 4)),
        PartitionCheckpoint("T", 3, OutputPosition("V", 10), OutputPosition("R", 3)),
    ],
)
def test_a_checkpoint_that_goes_back_is_foreign(forged: PartitionCheckpoint) -> None:
    """Decisions would be published twice."""
    found = collect_checkpoints(
        [
            ((0, 0), PROGRESS.key, encode_checkpoint(PROGRESS)),
            ((0, 1), forged.key, encode_checkpoint(forged)),
        ],
        IDS,
    )
    assert found.present == {3: PROGRESS}
    assert "goes back" in found.foreign.first[0].reason


@pytest.mark.parametrize(
    ("votes_id", "rejected_id", "named"),
    [("x", "y", "another votes_topic"), ("V", "y", "another rejected_votes_topic")],
)
def test_a_checkpoint_of_other_topics_than_the_present_ones_is_foreign(
    votes_id: str, rejected_id: str, named: str
) -> None:
    """Decisions would be published again from the beginning."""
    forged = PartitionCheckpoint(
        "T", 3, OutputPosition(votes_id, 10), OutputPosition(rejected_id, 4)
    )
    found = collect_checkpoints(
        [
            ((0, 0), PROGRESS.key, encode_checkpoint(PROGRESS)),
            ((0, 1), forged.key, encode_checkpoint(forged)),
        ],
        IDS,
    )
    assert found.present == {3: PROGRESS}
    assert named in found.foreign.first[0].reason


def test_the_position_in_a_recreated_topic_starts_again() -> None:
    """The former position shows what was published, until the new topic has one."""
    found = collect_checkpoints(
        [((0, 0), PROGRESS.key, encode_checkpoint(PROGRESS))], IDS | {"votes_topic": "new V"}
    )
    assert found.present == {3: PROGRESS}
    refilled = attrs.evolve(PROGRESS, votes=OutputPosition("new V", 2))
    found.apply(refilled.key, encode_checkpoint(refilled))
    assert found.present == {3: refilled}
    assert found.next_offsets == {("T", 3): 2}
