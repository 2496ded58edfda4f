"""Kafka helpers: client configuration, topics, and reading a topic from beginning to end."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, wait
from typing import Any, TypeVar

import attrs
from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
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
from voting_core.settings import KafkaSettings
from voting_core.topics import TopicSpec

__all__ = [
    "ReliableProducer",
    "Span",
    "check_topics",
    "client_config",
    "connect_admin",
    "create_topics",
    "delete_topics",
    "existing_topics",
    "open_reader",
    "place_of",
    "read_to_end",
    "spans",
    "topic_ids",
]

CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 30.0
ATTEMPT_SECONDS = 5.0
PAUSE_SECONDS = 0.1

_URL_SAFE = str.maketrans("+/", "-_")

K = TypeVar("K")
V = TypeVar("V")

_log = logging.getLogger("librdkafka")


def client_config(settings: KafkaSettings, **extra: Any) -> dict[str, Any]:
    """Return a librdkafka configuration; `extra` names use underscores for dots."""
    return {
        "bootstrap.servers": settings.bootstrap_servers,
        # A restarted broker is found again within a second instead of up to ten.
        "reconnect.backoff.max.ms": 1000,
        "logger": _log,
        **{name.replace("_", "."): value for name, value in extra.items()},
    }


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
class Span:
    """The offsets of a partition: from `start` up to but without `end`."""

    start: int
    end: int


def spans(admin: AdminClient, topic: str) -> dict[int, Span]:
    """Return what each partition of a topic holds now, records of open transactions included."""
    described = _answers(
        admin,
        lambda seconds: admin.describe_topics(TopicCollection([topic]), request_timeout=seconds),
    )
    partitions = [info.id for info in described[topic].result().partitions]
    starts = _list_offsets(admin, topic, partitions, OffsetSpec.earliest())
    ends = _list_offsets(admin, topic, partitions, OffsetSpec.latest())
    return {p: Span(starts[p], ends[p]) for p in partitions}


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


def open_reader(settings: KafkaSettings, places: Iterable[TopicPartition]) -> Consumer:
    """Return a consumer of exactly these partitions from these offsets, outside any group.

    It yields committed records only, and an end-of-partition event whenever it has caught up.
    """
    consumer = Consumer(
        client_config(
            settings,
            group_id="voting-reader",
            enable_auto_commit=False,
            isolation_level="read_committed",
            enable_partition_eof=True,
            auto_offset_reset="error",
            # How long the broker may wait for something new before it says that there is nothing.
            fetch_wait_max_ms=100,
            queued_max_messages_kbytes=16_384,
        )
    )
    consumer.assign(list(places))
    return consumer


def read_to_end(
    settings: KafkaSettings, admin: AdminClient, topic: str, *, patience: float = 60.0
) -> Iterator[Message]:
    """Yield every committed record that a topic holds at the time of the call.

    The end is that of all records, not of the committed ones only: behind a transaction that is
    still open there may be records of others that were committed long ago, so the reader waits
    for the open one to end, which its time-out bounds.

    Args:
        settings: Where Kafka is.
        admin: A connection to the same.
        topic: Topic to read, all partitions.
        patience: Longest time to wait for anything new, in seconds.

    Raises:
        UnreachableError: Nothing came for that long, though the end is not reached.
    """
    remaining = {p: span for p, span in spans(admin, topic).items() if span.end > span.start}
    if not remaining:
        return
    consumer = open_reader(
        settings, [TopicPartition(topic, p, span.start) for p, span in remaining.items()]
    )
    try:
        deadline = time.monotonic() + patience
        while remaining:
            # It waits that long for a full batch, also when the end is reached with a smaller one.
            messages = consumer.consume(10_000, timeout=0.05)
            if messages:
                deadline = time.monotonic() + patience
            elif time.monotonic() > deadline:
                raise UnreachableError(
                    f"nothing more of {topic} came from {settings.bootstrap_servers} for "
                    f"{patience:.0f} s, though its end is not reached"
                )
            for message in messages:
                partition, offset = place_of(message)
                error = message.error()
                if error is None:
                    if partition in remaining and offset < remaining[partition].end:
                        yield message
                    reached = offset + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    reached = offset
                elif error.retriable():
                    continue
                else:
                    raise KafkaException(error)
                if partition in remaining and reached >= remaining[partition].end:
                    del remaining[partition]
    finally:
        consumer.close()


def place_of(message: Message) -> tuple[int, int]:
    """Return the partition and offset of a message that a consumer yielded."""
    partition, offset = message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    return partition, offset


class ReliableProducer:
    """A producer that reports a failed delivery at the next call instead of losing it.

    Acknowledged by all in-sync replicas, idempotent, in bounded memory; partitioned by the key as
    by Kafka's own clients.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._failure: KafkaError | None = None
        self._producer = Producer(
            client_config(
                settings,
                enable_idempotence=True,
                acks="all",
                compression_type="lz4",
                linger_ms=20,
                # That of Kafka's own clients: a key has one partition, whoever sends it.
                partitioner="murmur2_random",
                queue_buffering_max_kbytes=4_096,
            )
        )

    def send(self, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Queue records given as key and value; waits while the queue is full.

        Raises:
            KafkaException: An earlier record could not be delivered.
        """
        for key, value in records:
            while True:
                try:
                    self._producer.produce(topic, value, key, on_delivery=self._delivered)
                    break
                except BufferError:
                    self._producer.poll(0.1)
                    self._raise_failure()
        self._producer.poll(0)
        self._raise_failure()

    def flush(self) -> None:
        """Wait until every record is delivered.

        Raises:
            KafkaException: One could not be.
        """
        while self._producer.flush(1.0):
            self._raise_failure()
        self._raise_failure()

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failure = error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise KafkaException(self._failure)
