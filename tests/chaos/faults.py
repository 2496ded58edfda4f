"""Injecting the schedule's faults into the pipeline."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from chaos.load_generator import LoadGenerator
from chaos.schedule import Event, Kind
from chaos.service_commands import Commands
from testkit.restart_policy import RestartPolicy, Restarts, Service
from voting_infra import Child, ChildTimeout, Stack, StackError, Supervisor

__all__ = ["Faults"]

GROUP = "voting-consumer"
TOPIC = "voters_topic"
REQUEST_SECONDS = 10.0
EMPTY_SECONDS = 60.0
POLL_SECONDS = 0.5
# How long a resumed zombie works beside the consumers that took over from it.
ZOMBIE_SECONDS = 6.0


class Faults:
    """Injects faults, one at a time; a call returns when the fault is done, before the recovery."""

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        stack: Stack,
        commands: Commands,
        restart_policy: RestartPolicy,
        restarts: Restarts,
        load_generator: LoadGenerator,
        consumers: Sequence[Service],
        stream: Service,
    ) -> None:
        self._supervisor = supervisor
        self._stack = stack
        self._commands = commands
        self._restart_policy = restart_policy
        self._restarts = restarts
        self._load_generator = load_generator
        self._consumers = consumers
        self._stream = stream
        self._stand_ins = 0

    def inject(self, event: Event) -> None:
        """Inject the fault of an event.

        Raises:
            StackError: Something does not restart, or the group's offsets cannot be changed.
        """
        consumer = self._consumers[event.choice]
        match event.kind:
            case Kind.PRODUCER:
                self._load_generator.kill(event.duration)
            case Kind.CONSUMER:
                consumer.kill()
            case Kind.CONSUMERS:
                for each in self._consumers:
                    each.kill()
            case Kind.STREAM:
                self._stream.kill()
            case Kind.STREAM_PYTHON:
                self._stream.kill(leader_only=True)
            case Kind.STREAM_TAKEOVER:
                self._take_over_stream(event.duration)
            case Kind.KAFKA | Kind.POSTGRES:
                server = self._stack.kafka if event.kind is Kind.KAFKA else self._stack.postgres
                server.kill()
                time.sleep(event.duration)
                server.start()
            case Kind.ZOMBIE_SAME_NAME:
                self._resume_fenced_zombie(consumer, event.duration)
            case Kind.ZOMBIE_OTHER_NAME:
                self._resume_zombie_beside_stand_in(consumer, event.duration)
            case Kind.OFFSETS_RESET | Kind.OFFSETS_DELETED:
                self._lose_offsets(event)
            case Kind.CHECKPOINT_DELETED:
                self._stream.kill_without_restart()
                _remove(self._commands.checkpoint)
                self._stream.start()
            case Kind.PAUSE_CONSUMERS:
                self._pause([each.running() for each in self._consumers], event.duration)
            case Kind.PAUSE_STREAM:
                self._pause([self._stream.running()], event.duration)
            case Kind.PAUSE_KAFKA | Kind.PAUSE_POSTGRES:
                paused = event.kind is Kind.PAUSE_KAFKA
                server = self._stack.kafka if paused else self._stack.postgres
                server.pause()
                time.sleep(event.duration)
                server.resume()

    def _pause(self, children: Sequence[Child], seconds: float) -> None:
        for child in children:
            child.pause()
        time.sleep(seconds)
        for child in children:
            child.resume()

    def _resume_fenced_zombie(self, consumer: Service, seconds: float) -> None:
        """Pause a consumer, let another of its name take over, and resume it: it is fenced off."""
        consumer.running().pause()
        zombie = consumer.replace()
        time.sleep(seconds)
        zombie.resume()
        try:
            zombie.wait(ZOMBIE_SECONDS)
        except ChildTimeout:
            zombie.kill()
        else:
            self._restarts.add(zombie)

    def _resume_zombie_beside_stand_in(self, consumer: Service, seconds: float) -> None:
        """Pause a consumer, let another instance take over, resume the one and kill the other."""
        self._stand_ins += 1
        command = self._commands.consumer(f"stand-in-{self._stand_ins}")
        stand_in = Service(self._supervisor, command, self._restarts)
        paused = consumer.running()
        paused.pause()
        stand_in.start()
        self._restart_policy.add(stand_in)
        time.sleep(seconds)
        paused.resume()
        time.sleep(ZOMBIE_SECONDS)
        stand_in.kill_without_restart()

    def _take_over_stream(self, seconds: float) -> None:
        """Kill the driver's Python while a second driver waits for its checkpoint."""
        second = self._supervisor.start(self._commands.stream())
        time.sleep(seconds)
        first = self._stream.replace(second)
        first.kill_leader()

    def _lose_offsets(self, event: Event) -> None:
        for each in self._consumers:
            each.kill_without_restart()
        deadline = time.monotonic() + EMPTY_SECONDS
        while True:
            try:
                # A new connection: an older one may not have noticed a restart yet.
                admin = AdminClient({"bootstrap.servers": self._stack.bootstrap_servers})
                if event.kind is Kind.OFFSETS_DELETED:
                    _delete_group(admin)
                else:
                    _reset_offsets(admin, to_end=bool(event.choice))
                break
            except (KafkaException, TimeoutError) as error:
                # The killed consumers remain members of the group until their sessions time out.
                if time.monotonic() > deadline:
                    raise StackError(f"the group {GROUP} cannot be changed: {error}") from error
            time.sleep(POLL_SECONDS)
        for each in self._consumers:
            each.start()


def _delete_group(admin: AdminClient) -> None:
    for deleted in admin.delete_consumer_groups([GROUP]).values():
        try:
            deleted.result(REQUEST_SECONDS)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                raise


def _reset_offsets(admin: AdminClient, *, to_end: bool) -> None:
    """Move the group's offsets to where using them would lose or repeat the most."""
    partitions = admin.list_topics(TOPIC, timeout=REQUEST_SECONDS).topics[TOPIC].partitions
    offsets = [TopicPartition(TOPIC, p, 2**40 if to_end else 0) for p in partitions]
    request = ConsumerGroupTopicPartitions(GROUP, offsets)
    for altered in admin.alter_consumer_group_offsets([request]).values():
        for partition in altered.result(REQUEST_SECONDS).topic_partitions:
            if partition.error is not None:
                raise KafkaException(partition.error)


def _remove(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)
