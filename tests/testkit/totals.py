"""Totals in the stream's format, written without Spark, and records of other clients."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Producer

from testkit.election import Election
from voting_core import topics
from voting_core.kafka import position, read_to_end, topic_ids
from voting_core.rules import age_band
from voting_core.serialization import compound_key

__all__ = ["append", "records", "write_totals"]

Totals = Counter[tuple[str, bytes, tuple[tuple[str, Any], ...]]]


def write_totals(election: Election, *, votes: int | None = None) -> None:
    """Write the totals of votes_topic, or of its first votes."""
    votes_topic_id = topic_ids(election.admin, [topics.VOTES])[topics.VOTES.name]
    totals: Totals = Counter()
    last: dict[int, int] = {}
    messages = list(read_to_end(election.kafka, election.admin, topics.VOTES.name))
    for message in messages[:votes]:
        vote = json.loads(message.value() or b"")
        partition, last[partition] = position(message)
        minute = f"{vote['voting_time'][:16]}:00Z"
        who, where, band = vote["candidate_id"], vote["state"], age_band(vote["age"])
        named = {name: vote[name] for name in ("candidate_name", "party_affiliation")}
        for topic, key, fields in (
            (topics.VOTES_PER_CANDIDATE, who.encode(), {"candidate_id": who, **named}),
            (topics.TURNOUT_BY_LOCATION, where.encode(), {"state": where}),
            (
                topics.VOTES_PER_CANDIDATE_BY_LOCATION,
                compound_key(where, who),
                {"state": where, "candidate_id": who},
            ),
            (
                topics.TURNOUT_BY_DEMOGRAPHIC,
                compound_key("gender", vote["gender"]),
                {"dimension": "gender", "value": vote["gender"]},
            ),
            (
                topics.TURNOUT_BY_DEMOGRAPHIC,
                compound_key("age_band", band),
                {"dimension": "age_band", "value": band},
            ),
            (
                topics.VOTES_OVER_TIME,
                compound_key(minute, who),
                {"minute": minute, "candidate_id": who},
            ),
            (topics.AGGREGATED_PROGRESS, b"%d" % partition, {"partition": partition}),
        ):
            totals[topic.name, key, tuple(fields.items())] += 1
    for (topic_name, key, columns), total in totals.items():
        row = {**dict(columns), "total_votes": total, "votes_topic_id": votes_topic_id}
        if topic_name == topics.AGGREGATED_PROGRESS.name:
            row["last_offset"] = last[row["partition"]]
        append(election, topic_name, key, row)


def append(
    election: Election,
    topic: str,
    key: bytes | None,
    value: Mapping[str, Any] | bytes | None,
    *,
    header: str | None = None,
    partition: int = -1,
) -> None:
    """Put a record on a topic, as any client with write access can.

    `header` is the topic id in the header that the consumer's records have.
    """
    producer = Producer({"bootstrap.servers": election.kafka.bootstrap_servers})
    producer.produce(
        topic,
        json.dumps(value) if isinstance(value, Mapping) else value,
        key,
        partition=partition,
        headers=[(topics.TOPIC_ID_HEADER, header)] if header is not None else None,
    )
    assert producer.flush(30) == 0


def records(election: Election, topic: topics.TopicSpec) -> list[tuple[bytes, dict[str, Any]]]:
    """Return the records of a topic, each as key and value."""
    messages = read_to_end(election.kafka, election.admin, topic.name)
    return [(m.key() or b"", json.loads(m.value() or b"")) for m in messages]
