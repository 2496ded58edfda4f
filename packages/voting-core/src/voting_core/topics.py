"""The topics: their names and the configuration that each requires."""

import attrs

# Totals can be rebuilt only from a complete log, so logs are kept indefinitely.
_LOG = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}

# The log cleaner skips the active segment. Small segments and a low dirty ratio keep the topic
# close to one record per key, which is what a new reader has to read.
_COMPACTED = {
    "cleanup.policy": "compact",
    "segment.bytes": str(4 * 1024 * 1024),
    "segment.ms": str(5 * 60 * 1000),
    "min.cleanable.dirty.ratio": "0.1",
}


@attrs.frozen
class TopicSpec:
    """A topic as `voting init` creates it.

    Attributes:
        config: Topic configuration; a log loses votes under any other.
        partitions: Fixed number of partitions, or None for the operator's choice.
    """

    name: str
    config: dict[str, str] = attrs.field(repr=False)
    partitions: int | None = None

    @property
    def is_log(self) -> bool:
        """Whether every record is kept indefinitely."""
        return self.config is _LOG


VOTING_ELECTION = TopicSpec("voting_election", _COMPACTED, partitions=1)
VOTERS = TopicSpec("voters_topic", _LOG)
VOTES = TopicSpec("votes_topic", _LOG)
REJECTED_VOTES = TopicSpec("rejected_votes_topic", _LOG)
VOTING_PROGRESS = TopicSpec("voting_progress", _COMPACTED, partitions=1)
VOTES_PER_CANDIDATE = TopicSpec("aggregated_votes_per_candidate", _COMPACTED, partitions=1)
TURNOUT_BY_LOCATION = TopicSpec("aggregated_turnout_by_location", _COMPACTED, partitions=1)
VOTES_PER_CANDIDATE_BY_LOCATION = TopicSpec(
    "aggregated_votes_per_candidate_by_location", _COMPACTED, partitions=1
)
TURNOUT_BY_DEMOGRAPHIC = TopicSpec("aggregated_turnout_by_demographic", _COMPACTED, partitions=1)
VOTES_OVER_TIME = TopicSpec("aggregated_votes_over_time", _COMPACTED, partitions=1)
AGGREGATED_PROGRESS = TopicSpec("aggregated_progress", _COMPACTED, partitions=1)

AGGREGATES = (
    VOTES_PER_CANDIDATE,
    TURNOUT_BY_LOCATION,
    VOTES_PER_CANDIDATE_BY_LOCATION,
    TURNOUT_BY_DEMOGRAPHIC,
    VOTES_OVER_TIME,
    AGGREGATED_PROGRESS,
)
REGISTERED_TOPICS = (VOTERS, VOTES, REJECTED_VOTES, VOTING_PROGRESS, *AGGREGATES)
"""The topics whose ids belong to the election's identity."""

ALL_TOPICS = (VOTING_ELECTION, *REGISTERED_TOPICS)

COMPACTED_TOPICS = frozenset(topic.name for topic in ALL_TOPICS if not topic.is_log)
"""The names of the topics of which only the last record of each key remains."""

TOPIC_ID_HEADER = "topic_id"
"""The header of each published decision: the id of the topic that it was written to.

A record without it, or with the id of another topic, was not written by the consumer for this
topic.
"""
