"""Which members of consumer groups read ballots."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import ConsumerGroupState, TopicPartition
from confluent_kafka.admin import AdminClient

from voting_core.kafka import group_members


def done(result: Any) -> "Future[Any]":
    """Return a future with a result."""
    future: Future[Any] = Future()
    future.set_result(result)
    return future


def member(client_id: str, *partitions: TopicPartition) -> SimpleNamespace:
    """Return the description of a member, as Kafka's admin client has it."""
    assignment = SimpleNamespace(topic_partitions=list(partitions))
    return SimpleNamespace(
        member_id=f"{client_id}-1", client_id=client_id, host="/10.0.0.1", assignment=assignment
    )


class FakeAdmin:
    """Has one group."""

    def __init__(self, state: ConsumerGroupState, *members: SimpleNamespace) -> None:
        self._group = SimpleNamespace(group_id="count", state=state, members=list(members))

    def list_consumer_groups(self, **_: float) -> "Future[Any]":
        """List it."""
        return done(SimpleNamespace(valid=[self._group]))

    def describe_consumer_groups(self, names: list[str], **_: float) -> "dict[str, Future[Any]]":
        """Describe it."""
        assert names == ["count"]
        return {"count": done(self._group)}


STABLE, REBALANCING = ConsumerGroupState.STABLE, ConsumerGroupState.PREPARING_REBALANCING
OURS = TopicPartition("voters_topic", 1)


@pytest.mark.parametrize(
    ("state", "members", "found"),
    [
        # A member beyond the number of partitions belongs to the group too.
        (STABLE, [member("count-a", OURS), member("count-b")], ["count-a", "count-b"]),
        (STABLE, [member("another client", OURS)], ["another client"]),
        (STABLE, [member("count-a", TopicPartition("orders", 1)), member("count-b")], []),
        # Its topic was deleted, so that there is nothing to assign.
        (STABLE, [member("count-a")], ["count-a"]),
        (STABLE, [member("another client")], []),
        # No assignment is known then.
        (REBALANCING, [member("count-a"), member("count-a")], ["count-a", "count-a"]),
        (REBALANCING, [member("another client")], []),
        (ConsumerGroupState.EMPTY, [], []),
    ],
)
def test_members_of_groups_that_read_ballots_are_found(
    state: ConsumerGroupState, members: list[SimpleNamespace], found: list[str]
) -> None:
    """By an assignment of one of the group; without any, by their client.id."""
    admin = cast(AdminClient, FakeAdmin(state, *members))
    assert [each.client_id for each in group_members(admin)] == found
