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
