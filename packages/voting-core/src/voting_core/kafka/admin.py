"""Asking brokers about topics, and creating, checking and deleting them."""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from typing import Any, TypeVar

import attrs
from confluent_kafka import (
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from voting_core.exceptions import TopicError, UnreachableError
from voting_core.kafka.config import client_config
from voting_core.service.settings import KafkaSettings
from voting_core.topics import TopicSpec

__all__ = [
    "OffsetRange",
    "check_topics",
    "connect_admin",
    "create_topics",
    "delete_topics",
    "existing_topics",
    "offset_ranges",
    "topic_ids",
]

CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 30.0
ATTEMPT_SECONDS = 5.0
PAUSE_SECONDS = 0.1

_URL_SAFE = str.maketrans("+/", "-_")

K = TypeVar("K")
V = TypeVar("V")


def connect_admin(settings: KafkaSettings) -> AdminClient:
    """Connect, and see that a broker answers.

    Raises:
        UnreachableError: None answers within 10 s.
    """
    admin = AdminClient(client_config(settings))
    try:
        admin.list_topics(timeout=CONNECT_SECONDS)
    except KafkaException as error:
        raise UnreachableError(
            f"no Kafka broker answers at {settings.bootstrap_servers} "
            f"within {CONNECT_SECONDS:.0f} s: {error.args[0].str()}"
        ) from error
    return admin


# What ends by itself when a broker has gone or come back, and the others have noticed.
_PASSING = frozenset(
    {
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    }
)


def _answers(
    admin: AdminClient, request: Callable[[float], dict[K, "Future[V]"]]
) -> dict[K, "Future[V]"]:
    """Ask for something until there are answers, or nobody has given one for half a minute.

    A client asks one broker, by the last that it has heard, and does not notice that this one has
    gone, or leads no longer: it has to be told of the others.

    Args:
        admin: The connection.
        request: Asks once, given the seconds to wait for the answers.
    """
    deadline = time.monotonic() + REQUEST_SECONDS
    while True:
        futures = request(ATTEMPT_SECONDS)
        wait(futures.values())
        if time.monotonic() > deadline or not any(map(_passes, futures.values())):
            return futures
        # If nobody tells, the next attempt says so.
        with contextlib.suppress(KafkaException):
            admin.list_topics(timeout=ATTEMPT_SECONDS)
        # Nothing announces that a partition has found its leader.
        time.sleep(PAUSE_SECONDS)


def _passes(future: "Future[Any]") -> bool:
    error = future.exception()
    return isinstance(error, KafkaException) and error.args[0].code() in _PASSING


def existing_topics(admin: AdminClient) -> set[str]:
    """Return the names of all topics that there are."""
    return set(admin.list_topics(timeout=REQUEST_SECONDS).topics)


def topic_ids(admin: AdminClient, topics: Iterable[TopicSpec]) -> dict[str, str]:
    """Return each topic's id by its name; a topic that is deleted and recreated gets another.

    The ids are as Kafka's own tools show them: base64 in the alphabet that is safe in file names
    (librdkafka shows `+` and `/` for `-` and `_`).

    Raises:
        TopicError: A topic does not exist.
    """
    names = [topic.name for topic in topics]
    futures = _answers(
        admin,
        lambda seconds: admin.describe_topics(TopicCollection(names), request_timeout=seconds),
    )
    ids = {}
    for name, future in futures.items():
        try:
            ids[name] = str(future.result().topic_id).translate(_URL_SAFE)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
            raise TopicError(f"topic {name} does not exist; `voting init` creates it") from error
    return ids


def check_topics(admin: AdminClient, topics: Iterable[TopicSpec]) -> None:
    """See that the topics exist, that logs are kept for ever and the others compacted.

    Raises:
        TopicError: One is missing, or would lose records.
    """
    resources = {ConfigResource(ResourceType.TOPIC, topic.name): topic for topic in topics}
    futures = _answers(
        admin, lambda seconds: admin.describe_configs(list(resources), request_timeout=seconds)
    )
    for resource, future in futures.items():
        topic = resources[resource]
        try:
            found = future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
            raise TopicError(
                f"topic {topic.name} does not exist; `voting init` creates it"
            ) from error
        demanded = topic.config if topic.is_log else {"cleanup.policy": "compact"}
        for name, value in demanded.items():
            if found[name].value != value:
                raise TopicError(
                    f"topic {topic.name} has {name}={found[name].value}, which loses records "
                    f"that the tally needs: set it to {value}"
                )


def create_topics(
    admin: AdminClient,
    topics: Iterable[TopicSpec],
    *,
    partitions: int,
    replication: int,
    min_insync_replicas: int = -1,
) -> list[str]:
    """Create the topics that are missing and return their names.

    Args:
        admin: The connection.
        topics: What is to exist.
        partitions: Number of partitions of those that fix none.
        replication: Number of copies; -1 for the broker's default.
        min_insync_replicas: Copies that must have a record before it is acknowledged; -1 for the
            broker's default.
    """
    copies = {} if min_insync_replicas < 0 else {"min.insync.replicas": str(min_insync_replicas)}
    new = [
        NewTopic(
            topic.name,
            num_partitions=topic.partitions or partitions,
            replication_factor=replication,
            config=topic.config | copies,
        )
        for topic in topics
    ]
    created = []
    futures = admin.create_topics(new, request_timeout=REQUEST_SECONDS)
    for name, future in futures.items():
        try:
            future.result()
            created.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    _await_topics(admin, [topic.topic for topic in new], exist=True)
    return created


def delete_topics(admin: AdminClient, topics: Iterable[TopicSpec]) -> list[str]:
    """Delete those of the topics that exist, wait until they are gone, return their names."""
    deleted = []
    names = [topic.name for topic in topics]
    for name, future in admin.delete_topics(names, request_timeout=REQUEST_SECONDS).items():
        try:
            future.result()
            deleted.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
    _await_topics(admin, names, exist=False)
    return deleted


def _await_topics(admin: AdminClient, names: list[str], *, exist: bool) -> None:
    # A broker answers for its own view of the cluster, which follows the controller's.
    deadline = time.monotonic() + REQUEST_SECONDS
    while True:
        known = admin.list_topics(timeout=REQUEST_SECONDS).topics
        waiting = [
            name
            for name in names
            if (name in known and known[name].error is None and bool(known[name].partitions))
            is not exist
        ]
        if not waiting:
            return
        if time.monotonic() > deadline:
            state = "has not appeared" if exist else "has not gone"
            raise TopicError(f"topic {waiting[0]} {state} after {REQUEST_SECONDS:.0f} s")
        time.sleep(0.05)


@attrs.frozen
class OffsetRange:
    """The offsets of a partition: from `start` up to but without `end`."""

    start: int
    end: int


def offset_ranges(admin: AdminClient, topic: str) -> dict[int, OffsetRange]:
    """Return what each partition of a topic holds now, records of open transactions included."""
    described = _answers(
        admin,
        lambda seconds: admin.describe_topics(TopicCollection([topic]), request_timeout=seconds),
    )
    partitions = [info.id for info in described[topic].result().partitions]
    starts = _list_offsets(admin, topic, partitions, OffsetSpec.earliest())
    ends = _list_offsets(admin, topic, partitions, OffsetSpec.latest())
    return {p: OffsetRange(starts[p], ends[p]) for p in partitions}


def _list_offsets(
    admin: AdminClient, topic: str, partitions: Iterable[int], spec: OffsetSpec
) -> dict[int, int]:
    places = {TopicPartition(topic, p): spec for p in partitions}
    futures: Mapping[TopicPartition, Future[Any]] = _answers(
        admin,
        lambda seconds: admin.list_offsets(
            places, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=seconds
        ),
    )
    return {place.partition: future.result().offset for place, future in futures.items()}
