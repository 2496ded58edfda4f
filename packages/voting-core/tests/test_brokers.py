"""What is known of Kafka if it refuses administrative requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka.admin import AdminClient
from kafka.errors import ClusterAuthorizationFailedError, KafkaError, KafkaTimeoutError

from voting_core.operator.status import brokers
from voting_core.operator.status.brokers import broker_facts
from voting_core.service.settings import KafkaSettings

ADMIN = cast(AdminClient, SimpleNamespace(list_topics=lambda **_: SimpleNamespace(topics={})))


class RefusingClient:
    """A client whose every request Kafka refuses."""

    def __getattr__(self, _: str) -> Any:
        """Return a request that fails."""

        def refuse(*_: object, **__: object) -> None:
            raise ClusterAuthorizationFailedError

        return refuse


@pytest.mark.parametrize("error", [None, KafkaTimeoutError()])
def test_an_open_transaction_that_kafka_does_not_describe_has_its_offset(
    error: KafkaError | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last stable offset, which the partitions themselves tell."""

    @contextmanager
    def connect(_: KafkaSettings) -> Iterator[RefusingClient]:
        if error is not None:
            raise error
        yield RefusingClient()

    monkeypatch.setattr(brokers, "connect_broker_tools", connect)
    facts = broker_facts(KafkaSettings(), ADMIN, {("votes_topic", 1): 40})
    assert [str(each) for each in facts.open_transactions] == [
        "votes_topic partition 1 at offset 40 by an unknown producer"
    ]
    assert facts.problems


def described(topics: list[str], assigned: dict[str, list[int]] | None = None) -> dict[str, Any]:
    """Return the description of a member of the group `count`, as kafka-python has it."""
    partitions = [{"topic": t, "partitions": numbers} for t, numbers in (assigned or {}).items()]
    return {
        "member_id": "count-a-1",
        "client_id": "count-a",
        "client_host": "/10.0.0.1",
        "member_metadata": {"topics": topics} if topics else b"",
        "member_assignment": {"assigned_partitions": partitions} if partitions else b"",
    }


@pytest.mark.parametrize(
    ("member", "partitions"),
    [
        (described(["voters_topic"], {"voters_topic": [3, 1], "orders": [0]}), (1, 3)),
        # Its topic was deleted, or it is in a rebalance, in which Kafka discloses nothing.
        (described(["voters_topic"]), ()),
        (described([]), ()),
        (described(["orders"], {"orders": [0]}), None),
        (described(["orders"]), None),
    ],
)
def test_the_groups_that_read_ballots_are_listed(
    member: dict[str, Any], partitions: tuple[int, ...] | None
) -> None:
    """By what a member subscribes or has; if neither is known, by its client.id."""
    client = SimpleNamespace(
        list_groups=lambda: [{"group_id": "count"}],
        describe_groups=lambda _: {"count": {"group_state": "Stable", "members": [member]}},
    )
    groups = brokers._groups(client)
    found = [each.partitions for group in groups for each in group.members]
    assert found == ([] if partitions is None else [partitions])
    assert all(each.host == "10.0.0.1" for group in groups for each in group.members)
