"""An independent look at an election: topics and tables read plainly, without the project's code.

What it finds is compared with what was sent, so that an error of the services, or of the library
that they share, cannot hide itself.
"""

import json
from collections import Counter
from typing import Any

import attrs
import psycopg
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

Record = tuple[bytes | None, bytes]


def read_topic(bootstrap: str, topic: str) -> list[Record]:
    """Read every committed record of a topic, as key and value."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "checker",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,
        }
    )
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
    unread = set(partitions)
    records: list[Record] = []
    try:
        while unread:
            message = consumer.poll(60)
            assert message is not None, f"{topic} does not end"
            error = message.error()
            if error is None:
                records.append((message.key(), message.value() or b""))
            elif error.code() == KafkaError._PARTITION_EOF:
                unread.discard(message.partition())
            else:
                raise AssertionError(error.str())
    finally:
        consumer.close()
    return records


@attrs.frozen
class Findings:
    """What an election has come to, place by place.

    Attributes:
        read: Records on voters_topic.
        accepted: Rows of the table `votes`.
        rejected: Rows of the table `rejections`, by reason.
        published: Candidate by voter as votes_topic has it; the last one of a voter.
        repeated: Records of votes_topic beyond the first of a voter.
        rejections_published: Records of rejected_votes_topic, by reason.
        rejections_repeated: Records of rejected_votes_topic beyond the first of a place.
        stored: Candidate by voter as the table has it.
    """

    read: int
    accepted: int
    rejected: dict[str, int]
    published: dict[str, str]
    repeated: int
    rejections_published: dict[str, int]
    rejections_repeated: int
    stored: dict[str, str]

    def assert_consistent(self) -> None:
        """Every record read ended once, in the tables and on the topics alike."""
        assert self.read == self.accepted + sum(self.rejected.values())
        assert self.repeated == 0
        assert self.rejections_repeated == 0
        assert self.published == self.stored
        assert self.rejections_published == self.rejected


def examine(bootstrap: str, conn: psycopg.Connection[Any]) -> Findings:
    """Look at every place."""
    votes = [json.loads(value) for _, value in read_topic(bootstrap, "votes_topic")]
    rejections = [json.loads(value) for _, value in read_topic(bootstrap, "rejected_votes_topic")]
    published = {vote["voter_id"]: vote["candidate_id"] for vote in votes}
    places = {tuple(sorted(rejection["coordinates"].items())) for rejection in rejections}
    stored = dict(conn.execute("SELECT voter_id, candidate_id FROM votes").fetchall())
    rejected = dict(
        conn.execute("SELECT reason, count(*) FROM rejections GROUP BY reason").fetchall()
    )
    return Findings(
        read=len(read_topic(bootstrap, "voters_topic")),
        accepted=len(stored),
        rejected=rejected,
        published=published,
        repeated=len(votes) - len(published),
        rejections_published=dict(Counter(rejection["reason"] for rejection in rejections)),
        rejections_repeated=len(rejections) - len(places),
        stored=stored,
    )
