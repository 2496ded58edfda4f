"""Telling the consumer's records from those of other clients."""

import json
from typing import Any, cast

import attrs
import pytest
from confluent_kafka import Message

from voting_core.exceptions import SerializationError
from voting_core.operator.published_records import read_published_rejection, read_published_vote

TOPIC_ID = "the-id"
VOTE = {
    "voter_id": "v1",
    "candidate_id": "ada",
    "candidate_name": "Ada",
    "party_affiliation": "",
    "state": "Ohio",
    "gender": "female",
    "age": 40,
    "voting_time": "2024-11-05T17:03:59.250Z",
    "vote": 1,
}
REJECTION = {
    "voter_id": None,
    "reason": "malformed",
    "detail": "not JSON",
    "coordinates": {"topic_id": "T", "partition": 0, "offset": 7},
    "time": "2024-11-05T17:03:59.250Z",
    "size": 3,
    "sha256": "ab",
}


@attrs.frozen
class FakeMessage:
    """A record."""

    value_: dict[str, Any] | bytes | None
    key_: bytes | None
    headers_: list[tuple[str, bytes]] | None

    def value(self) -> bytes | None:
        """Return the value."""
        value = self.value_
        return json.dumps(value).encode() if isinstance(value, dict) else value

    def key(self) -> bytes | None:
        """Return the key."""
        return self.key_

    def headers(self) -> list[tuple[str, bytes]] | None:
        """Return the headers."""
        return self.headers_


OWN = [("topic_id", TOPIC_ID.encode())]


def record(
    value: dict[str, Any] | bytes | None,
    key: bytes | None = b"v1",
    headers: list[tuple[str, bytes]] | None = OWN,
) -> Message:
    """Return a record, with the header of the consumer's records by default."""
    return cast(Message, FakeMessage(value, key, headers))


def test_a_vote_of_the_consumer_is_read() -> None:
    """All its fields."""
    vote = read_published_vote(record(VOTE), TOPIC_ID)
    assert (vote.voter_id, vote.candidate, vote.age) == ("v1", ("ada", "Ada", ""), 40)
    assert vote.voting_time.isoformat() == "2024-11-05T17:03:59.250000+00:00"


@pytest.mark.parametrize("voter_id", [None, "v1"])
def test_a_rejection_of_the_consumer_is_read(voter_id: str | None) -> None:
    """With or without a voter."""
    key = voter_id.encode() if voter_id else None
    found = read_published_rejection(record({**REJECTION, "voter_id": voter_id}, key), TOPIC_ID)
    assert (found.voter_id, found.reason, found.source_offset) == (voter_id, "malformed", 7)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (None, "without the header"),
        ([], "without the header"),
        ([("other", b"x"), *OWN], "without the header"),
        ([("topic_id", b"that of the former topic")], "not this topic's"),
    ],
)
def test_a_record_without_this_topics_header_is_foreign(
    headers: list[tuple[str, bytes]] | None, reason: str
) -> None:
    """Whatever its value is."""
    with pytest.raises(SerializationError, match=reason):
        read_published_vote(record(VOTE, headers=headers), TOPIC_ID)
    with pytest.raises(SerializationError, match=reason):
        read_published_rejection(record(REJECTION, None, headers), TOPIC_ID)


@pytest.mark.parametrize(
    ("value", "key", "reason"),
    [
        (None, b"v1", "no value"),
        (b"{", b"v1", "not JSON"),
        (b"[]", b"v1", "expected `object`"),
        (b"{}", b"v1", "candidate_id"),
        (VOTE, None, "key"),
        (VOTE, b"v2", "key"),
        ({**VOTE, "vote": 2}, b"v1", "vote"),
        ({**VOTE, "vote": True}, b"v1", "vote"),
        ({**VOTE, "age": 2**31}, b"v1", "age"),
        ({**VOTE, "state": "x\0"}, b"v1", "state"),
        ({**VOTE, "voting_time": "yesterday"}, b"v1", "voting_time"),
        ({**VOTE, "voting_time": "2024-13-05T17:03:59.250Z"}, b"v1", "voting_time"),
    ],
)
def test_a_vote_of_another_format_is_foreign(
    value: dict[str, Any] | bytes | None, key: bytes | None, reason: str
) -> None:
    """The message names the field."""
    with pytest.raises(SerializationError, match=reason):
        read_published_vote(record(value, key), TOPIC_ID)


@pytest.mark.parametrize(
    ("change", "key", "reason"),
    [
        ({"coordinates": None}, None, "coordinates"),
        ({"coordinates": {"topic_id": "T", "partition": 2**40, "offset": 1}}, None, "partition"),
        ({"voter_id": "v1"}, None, "key"),
        ({"voter_id": "v1"}, b"v2", "key"),
        ({}, b"v1", "key"),
        ({"size": 2**70}, None, "size"),
        ({"reason": 3}, None, "reason"),
    ],
)
def test_a_rejection_of_another_format_is_foreign(
    change: dict[str, Any], key: bytes | None, reason: str
) -> None:
    """The message names the field."""
    with pytest.raises(SerializationError, match=reason):
        read_published_rejection(record({**REJECTION, **change}, key), TOPIC_ID)
