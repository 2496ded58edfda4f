"""The decisions on the output topics, as the consumer writes them; everything else is foreign."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs
from confluent_kafka import Message

from voting_core.exceptions import SerializationError
from voting_core.operator.vote_counts import NamedCandidate
from voting_core.serialization import decode_object
from voting_core.topics import TOPIC_ID_HEADER


@attrs.frozen
class PublishedVote:
    """A record of `votes_topic`."""

    voter_id: str
    candidate: NamedCandidate
    state: str
    gender: str
    age: int
    voting_time: datetime


def check_written_by_consumer(message: Message, topic_id: str) -> None:
    """Check the header that the consumer gives each record of an output topic.

    Raises:
        SerializationError: The record has none, or that of another topic.
    """
    headers: Any = message.headers() or []
    name, value = headers[0] if headers else (None, None)
    if name != TOPIC_ID_HEADER:
        raise SerializationError(f"without the header {TOPIC_ID_HEADER}, so not by the consumer")
    if value != topic_id.encode():
        raise SerializationError(f"the header {TOPIC_ID_HEADER} is not this topic's, {topic_id}")


def read_published_vote(message: Message, topic_id: str) -> PublishedVote:
    """Return the vote in a record of the `votes_topic` with an id.

    Raises:
        SerializationError: The consumer did not write the record for this topic.
    """
    check_written_by_consumer(message, topic_id)
    fields = decode_object(message.value())
    names = ("candidate_id", "candidate_name", "party_affiliation", "voter_id", "state", "gender")
    candidate_id, name, party, voter_id, state, gender = _texts(fields, *names)
    age = _whole(fields, "age", bits=31)
    if _whole(fields, "vote", bits=31) != 1:
        raise SerializationError("vote: must be 1")
    if message.key() != voter_id.encode():
        raise SerializationError("the key is not the voter_id")
    time = _time(fields, "voting_time")
    return PublishedVote(voter_id, (candidate_id, name, party), state, gender, age, time)


@attrs.frozen
class PublishedRejection:
    """A record of `rejected_votes_topic`; the source is the rejected record of `voters_topic`."""

    source_topic_id: str
    source_partition: int
    source_offset: int
    voter_id: str | None
    reason: str
    detail: str
    time: datetime
    size: int
    sha256: str


def read_published_rejection(message: Message, topic_id: str) -> PublishedRejection:
    """Return the rejection in a record of the `rejected_votes_topic` with an id.

    Raises:
        SerializationError: The consumer did not write the record for this topic.
    """
    check_written_by_consumer(message, topic_id)
    fields = decode_object(message.value())
    source = fields.get("coordinates")
    if type(source) is not dict:
        raise SerializationError("coordinates: expected an object")
    voter_id = None if fields.get("voter_id") is None else _texts(fields, "voter_id")[0]
    if (message.key() or None) != (voter_id.encode() if voter_id else None):
        raise SerializationError("the key is not the voter_id")
    (source_topic_id,) = _texts(source, "topic_id")
    reason, detail, sha256 = _texts(fields, "reason", "detail", "sha256")
    return PublishedRejection(
        source_topic_id,
        _whole(source, "partition", bits=31),
        _whole(source, "offset"),
        voter_id,
        reason,
        detail,
        _time(fields, "time"),
        _whole(fields, "size"),
        sha256,
    )


def _texts(fields: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    texts = tuple([fields.get(name) for name in names])
    for text in texts:
        if type(text) is not str or "\0" in text:
            name = names[texts.index(text)]
            raise SerializationError(f"{name}: expected a text without NUL characters")
    return texts  # type: ignore[return-value]


def _whole(fields: Mapping[str, Any], name: str, bits: int = 63) -> int:
    number = fields.get(name)
    if type(number) is not int or not -(1 << bits) <= number < 1 << bits:
        raise SerializationError(f"{name}: expected a whole number of less than {bits + 1} bits")
    return number


def _time(fields: Mapping[str, Any], name: str) -> datetime:
    text = fields.get(name)
    try:
        if type(text) is str and len(text) == 24 and text[10] == "T" and text[-1] == "Z":
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise SerializationError(f"{name}: expected a time as 2024-11-05T17:03:59.250Z")
