"""Administration of topics: ids, configuration, creation, deletion and offsets."""

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future, wait
from typing import Any, TypeVar

import attrs
import stamina
from confluent_kafka import (
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from voting_core.exceptions import TopicError, UnreachableError
from voting_core.kafka.config import client_config
from voting_core.service.settings import KafkaSettings
from voting_core.topics import TopicSpec

CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 30.0
ATTEMPT_SECONDS = 5.0
ATTEMPTS = 3
"""Attempts of a request whose time is shorter than usual."""

PAUSE_SECONDS = 0.1
LAG_SECONDS = 2.0
"""How much later than another a broker of a cluster may learn of a new topic."""

# Errors of a broker failover, which ends when the other brokers have elected new leaders.
_TRANSIENT = frozenset(
    {
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    }
)
_UNKNOWN_TOPIC = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART})
_UNAVAILABLE = _TRANSIENT | {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    # A connection was closed under a request; no leader was found for a partition.
    KafkaError._DESTROY_BROKER,
    KafkaError._NOENT,
    KafkaError._WAIT_COORD,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    KafkaError.KAFKA_STORAGE_ERROR,
    # A transaction of another client is open, which commits offsets of the group.
    KafkaError.UNSTABLE_OFFSET_COMMIT,
}
_URL_SAFE = str.maketrans("+/", "-_")

K = TypeVar("K")
V = TypeVar("V")


def connect_admin(settings: KafkaSettings, timeout: float = CONNECT_SECONDS) -> AdminClient:
    """Return an admin client after a broker has responded.

    Raises:
        UnreachableError: The brokers are unreachable for `timeout` seconds.
    """
    admin = AdminClient(client_config(settings))
    try:
        admin.list_topics(timeout=timeout)
    except KafkaException as error:
        raise UnreachableError(
            f"no Kafka broker is reachable at {settings.bootstrap_servers} "
            f"within {timeout:.0f} s: {error.args[0].str()}"
        ) from error
    return admin


def existing_topics(admin: AdminClient) -> set[str]:
    """Return the names of all existing topics."""
    return set(admin.list_topics(timeout=REQUEST_SECONDS).topics)


def topic_ids(
    admin: AdminClient, topics: Iterable[TopicSpec], *, timeout: float = REQUEST_SECONDS
) -> dict[str, str]:
    """Return each topic's id by name; a topic that is deleted and recreated gets another id.

    The ids are base64url as in Kafka's own tools; librdkafka uses `+` and `/` for `-` and `_`.
    A broker failover is waited out for `timeout` seconds.

    Raises:
        TopicError: A topic does not exist.
    """
    described = _describe_topics(admin, [topic.name for topic in topics], timeout)
    return {
        name: str(_topic_result(name, future).topic_id).translate(_URL_SAFE)
        for name, future in described.items()
    }


def check_topics(admin: AdminClient, topics: Iterable[TopicSpec]) -> None:
    """Check that the topics exist, that logs are kept indefinitely and the others compacted.

    Raises:
        TopicError: A topic is missing, or would lose records.
    """
    resources = {ConfigResource(ResourceType.TOPIC, topic.name): topic for topic in topics}
    described = _request(
        admin, lambda: admin.describe_configs(list(resources), request_timeout=ATTEMPT_SECONDS)
    )
    for resource, future in described.items():
        topic = resources[resource]
        found = _topic_result(topic.name, future)
        required = topic.config if topic.is_log else {"cleanup.policy": "compact"}
        _check_values(topic, found, required, "which loses records that the count needs")


def check_config(admin: AdminClient, topic: TopicSpec, required: Mapping[str, str]) -> None:
    """Check single values of a topic's configuration.

    Raises:
        TopicError: A value differs, or the topic does not exist.
    """
    resource = ConfigResource(ResourceType.TOPIC, topic.name)
    described = _request(
        admin, lambda: admin.describe_configs([resource], request_timeout=ATTEMPT_SECONDS)
    )
    found = _topic_result(topic.name, described[resource])
    _check_values(topic, found, required, "which another client has changed")


def _check_values(
    topic: TopicSpec, found: Mapping[str, ConfigEntry], required: Mapping[str, str], why: str
) -> None:
    for name, value in required.items():
        if found[name].value != value:
            raise TopicError(
                f"topic {topic.name} has {name}={found[name].value}, {why}", f"set it to {value}"
            )


def set_config(admin: AdminClient, topic: TopicSpec, values: Mapping[str, str]) -> None:
    """Set single values of a topic's configuration; the others stay as they are."""
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in values.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=entries)
    for future in admin.incremental_alter_configs(
        [resource], request_timeout=REQUEST_SECONDS
    ).values():
        future.result()


def create_topics(
    admin: AdminClient,
    topics: Iterable[TopicSpec],
    *,
    partitions: int,
    replication: int,
    min_insync_replicas: int = -1,
) -> list[str]:
    """Create the missing topics and return their names.

    `partitions` applies to topics without a fixed number. For the other two numbers, -1 is the
    broker's default.
    """
    replicas = {} if min_insync_replicas < 0 else {"min.insync.replicas": str(min_insync_replicas)}
    new = [
        NewTopic(
            topic.name,
            num_partitions=topic.partitions or partitions,
            replication_factor=replication,
            config=topic.config | replicas,
        )
        for topic in topics
    ]
    futures = admin.create_topics(new, request_timeout=REQUEST_SECONDS)
    created = _changed_topics(futures, unless=KafkaError.TOPIC_ALREADY_EXISTS)
    _await_topics(admin, [topic.topic for topic in new], exist=True)
    return created


def delete_topics(admin: AdminClient, topics: Iterable[TopicSpec]) -> list[str]:
    """Delete the existing ones of the topics, wait for the deletion and return their names."""
    names = [topic.name for topic in topics]
    futures = admin.delete_topics(names, request_timeout=REQUEST_SECONDS)
    deleted = _changed_topics(futures, unless=KafkaError.UNKNOWN_TOPIC_OR_PART)
    _await_topics(admin, names, exist=False)
    return deleted


@attrs.frozen
class OffsetRange:
    """The offsets of a partition, from `start` up to, not including, `end`."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """The number of offsets; transaction markers and aborted records occupy some."""
        return self.end - self.start


def offset_ranges(
    admin: AdminClient, topic: str, isolation: IsolationLevel = IsolationLevel.READ_UNCOMMITTED
) -> dict[int, OffsetRange]:
    """Return the current offset range of each partition.

    The end includes open transactions; with READ_COMMITTED it is the last stable offset, the first
    one of an open transaction.

    Raises:
        TopicError: The topic does not exist.
    """
    ranges = topic_offset_ranges(admin, [topic], isolation)
    return {partition: offsets for (_, partition), offsets in ranges.items()}


def topic_offset_ranges(
    admin: AdminClient,
    topics: Iterable[str],
    isolation: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
) -> dict[tuple[str, int], OffsetRange]:
    """Return the current offset range of each partition of several topics, as `offset_ranges`."""
    described = _describe_topics(admin, list(topics))
    partitions = [
        (topic, info.id)
        for topic, future in described.items()
        for info in _topic_result(topic, future).partitions
    ]
    starts = _list_offsets(admin, partitions, OffsetSpec.earliest(), isolation)
    ends = _list_offsets(admin, partitions, OffsetSpec.latest(), isolation)
    return {p: OffsetRange(starts[p], ends[p]) for p in partitions}


def _describe_topics(
    admin: AdminClient, names: list[str], timeout: float = REQUEST_SECONDS
) -> dict[str, "Future[Any]"]:
    topics = TopicCollection(names)
    attempt = min(ATTEMPT_SECONDS, timeout / ATTEMPTS)
    return _request(
        admin, lambda: admin.describe_topics(topics, request_timeout=attempt), timeout=timeout
    )


def _list_offsets(
    admin: AdminClient,
    partitions: Iterable[tuple[str, int]],
    spec: OffsetSpec,
    isolation: IsolationLevel,
) -> dict[tuple[str, int], int]:
    specs = {TopicPartition(topic, partition): spec for topic, partition in partitions}
    listed = _request(
        admin,
        lambda: admin.list_offsets(
            specs, isolation_level=isolation, request_timeout=ATTEMPT_SECONDS
        ),
    )
    return {(each.topic, each.partition): future.result().offset for each, future in listed.items()}


def _request(
    admin: AdminClient,
    send: Callable[[], dict[K, "Future[V]"]],
    *,
    timeout: float = REQUEST_SECONDS,
) -> dict[K, "Future[V]"]:
    """Return the completed futures of a request, repeated while one is a transient error.

    Among several brokers, that one does not know a topic is believed after `LAG_SECONDS`.
    """
    believed_at = time.monotonic() + LAG_SECONDS

    def is_doubtful(error: Exception) -> bool:
        if _has_code(error, _UNKNOWN_TOPIC):
            return time.monotonic() < believed_at and _broker_count(admin) > 1
        return _has_code(error, _TRANSIENT)

    for attempt in stamina.retry_context(
        on=lambda error: _has_code(error, _TRANSIENT | _UNKNOWN_TOPIC),
        attempts=None,
        timeout=timeout,
        wait_initial=PAUSE_SECONDS,
        wait_max=PAUSE_SECONDS,
        wait_jitter=0.0,
    ):
        with attempt:
            if attempt.num > 1:
                # The client addresses a broker from its metadata, which may be outdated. If no
                # broker returns new metadata, the request fails too.
                with contextlib.suppress(KafkaException):
                    admin.list_topics(timeout=min(ATTEMPT_SECONDS, timeout / ATTEMPTS))
            futures = send()
            wait(futures.values())
            for error in (future.exception() for future in futures.values()):
                if isinstance(error, Exception) and is_doubtful(error):
                    raise error
            return futures
    raise AssertionError("a retry ends with a result or an error")


def _has_code(error: Exception, codes: Collection[int]) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() in codes


def _broker_count(admin: AdminClient) -> int:
    try:
        return len(admin.list_topics(timeout=ATTEMPT_SECONDS).brokers)
    except KafkaException:
        # Not even one answers at the moment.
        return 0


def is_unavailable(error: Exception) -> bool:
    """Return whether an error is an outage of Kafka, after which the same call can succeed."""
    if isinstance(error, UnreachableError):
        return True
    if not isinstance(error, KafkaException):
        return False
    return error.args[0].code() in _UNAVAILABLE or bool(error.args[0].retriable())


def _topic_result(name: str, future: "Future[V]") -> V:
    try:
        return future.result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise
        raise TopicError(f"topic {name} does not exist", "`voting init` creates it") from error


def _changed_topics(futures: Mapping[str, "Future[Any]"], *, unless: int) -> list[str]:
    """Return the topics whose change succeeded; the error code `unless` means no change."""
    changed = []
    for name, future in futures.items():
        try:
            future.result()
            changed.append(name)
        except KafkaException as error:
            if error.args[0].code() != unless:
                raise
    return changed


def _await_topics(admin: AdminClient, names: list[str], *, exist: bool) -> None:
    # A broker's metadata follows the controller's with a delay.
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
            state = "does not exist" if exist else "still exists"
            raise TopicError(f"topic {waiting[0]} {state} after {REQUEST_SECONDS:.0f} s")
        time.sleep(PAUSE_SECONDS)
