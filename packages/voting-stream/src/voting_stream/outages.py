"""Which errors that end a query mean that Kafka is unavailable for a while."""

import re
from typing import Any

from voting_core.kafka import is_unavailable

_RETRIABLE = re.compile(
    r"\b(AuthorizerNotReady|ConcurrentTransactions|CoordinatorLoadInProgress"
    r"|CoordinatorNotAvailable|CorruptRecord|Disconnect|EligibleLeadersNotAvailable"
    r"|FencedLeaderEpoch|FetchSessionIdNotFound|FetchSessionTopicId|InconsistentTopicId"
    r"|InvalidFetchSessionEpoch|InvalidMetadata|KafkaStorage|LeaderNotAvailable|ListenerNotFound"
    r"|Network|NotController|NotCoordinator|NotEnoughReplicas|NotEnoughReplicasAfterAppend"
    r"|NotLeaderForPartition|NotLeaderOrFollower|OffsetNotAvailable|PreferredLeaderNotAvailable"
    r"|ReplicaNotAvailable|ThrottlingQuotaExceeded|Timeout|UnknownLeaderEpoch|UnknownTopicId"
    r"|UnknownTopicOrPartition|UnstableOffsetCommit|BrokerNotAvailable)Exception\b"
)
"""Kafka's subclasses of `RetriableException`, and the one that ZooKeeper's brokers raised.

Source: the package org.apache.kafka.common.errors of kafka-clients 3.9.
"""

_UNRESOLVABLE = "No resolvable bootstrap urls"


def is_outage(error: Exception) -> bool:
    """Return whether an error of a query or of a client, or one of its causes, is an outage.

    A topic that is missing looks like one too: the caller checks the topics themselves.
    """
    if is_unavailable(error):
        return True
    text = "\n".join((str(error), *_java_causes(error)))
    return _UNRESOLVABLE in text or _RETRIABLE.search(text) is not None


def _java_causes(error: Exception) -> list[str]:
    """Return Java's description of the error and its causes, with the names of their classes.

    Python's message lacks the class where Spark passes on an error that it does not wrap.
    """
    causes = []
    java: Any = getattr(error, "_origin", None)
    while java is not None:
        causes.append(java.toString())
        java = java.getCause()
    return causes
