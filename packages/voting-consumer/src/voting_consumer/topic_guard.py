"""Noticing a recreated topic before a record is decided or published under the old id."""

from collections.abc import Iterable

from confluent_kafka.admin import AdminClient

from voting_core import topics
from voting_core.election import Election
from voting_core.service.identity import check_topic_ids
from voting_core.topics import TopicSpec

INPUT = (topics.VOTERS,)
OUTPUTS = (topics.VOTES, topics.REJECTED_VOTES, topics.VOTING_PROGRESS)


class TopicGuard:
    """Compares the ids of topics with those of the election.

    A topic that is deleted and recreated never gets its old id back. So if a topic still has it at
    a comparison, everything that was read from it, or acknowledged by it, before the comparison
    belongs to the old topic.
    """

    def __init__(self, admin: AdminClient, election: Election) -> None:
        self._admin = admin
        self._election = election

    def check_input(self) -> None:
        """Check `voters_topic`: after a poll, before the records are decided.

        Raises:
            TopicRecreatedError: It was recreated.
            KafkaException: The brokers are unreachable.
        """
        self._check(INPUT)

    def check_outputs(self) -> None:
        """Check the output topics: after all records are acknowledged, before the commit.

        Raises:
            TopicRecreatedError: One was recreated.
            KafkaException: The brokers are unreachable.
        """
        self._check(OUTPUTS)

    def check_all(self) -> None:
        """Check all topics, now and then while there is nothing to do.

        Raises:
            TopicRecreatedError: One was recreated.
            KafkaException: The brokers are unreachable.
        """
        self._check((*INPUT, *OUTPUTS))

    def _check(self, specs: Iterable[TopicSpec]) -> None:
        check_topic_ids(self._admin, self._election, specs)
