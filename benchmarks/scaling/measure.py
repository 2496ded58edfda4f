"""Measuring one stage after another, on the machine that also runs Kafka and PostgreSQL.

The rates are computed from the timestamps of records: those of `voters_topic`, of `votes_topic`,
and of the totals that the stream writes.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import attrs
from confluent_kafka import Message
from confluent_kafka.admin import AdminClient
from typed_settings import SecretStr

from scaling.rates import Mark, steady_rate
from scaling.sizing import Measured
from voting_core import topics
from voting_core.database import connect
from voting_core.kafka import connect_admin, read_to_end
from voting_core.operator.setup import forget_election, set_up_election
from voting_core.serialization import decode_object
from voting_core.service.settings import DatabaseSettings, KafkaSettings
from voting_infra import ChildExited, Command, Stack, Supervisor
from voting_infra.processes import describe_exit
from voting_infra.service_commands import service_command

__all__ = ["measure"]

IDLE_SECONDS = 5
# The first batch, in which Java still compiles, is left out. Small batches would measure only
# their fixed cost.
STREAM_BATCHES = 5
TIMEOUT_SECONDS = 3600.0


@attrs.frozen
class _Bench:
    supervisor: Supervisor
    stack: Stack
    kafka: KafkaSettings
    admin: AdminClient
    directory: Path

    def run(self, commands: Iterable[Command]) -> None:
        """Run services at the same time until all have ended.

        Raises:
            ChildExited: One has failed.
        """
        for child in [self.supervisor.start(command) for command in commands]:
            code = child.wait(TIMEOUT_SECONDS)
            if code:
                raise ChildExited(child.name, describe_exit(code), child.log_path)

    def messages(self, topic: topics.TopicSpec) -> Iterable[Message]:
        """Return the records of a topic."""
        return read_to_end(self.kafka, self.admin, topic.name)


def measure(
    supervisor: Supervisor,
    stack: Stack,
    *,
    voters: int,
    counts: Sequence[int],
    print_line: Callable[[str], None],
) -> list[Measured]:
    """Count a fresh election for each number of services.

    Args:
        supervisor: Runs the services.
        stack: What they run on; its election is deleted.
        voters: Ballots in each election.
        counts: Numbers of partitions, and of services of each kind.
        print_line: Prints one line.

    Raises:
        StackError: A service fails.
        ValueError: There are too few ballots to measure a rate.
    """
    kafka = KafkaSettings(stack.bootstrap_servers)
    bench = _Bench(
        supervisor, stack, kafka, connect_admin(kafka), supervisor.make_directory("scaling")
    )
    steps = []
    for count in counts:
        _begin(bench, count)
        step = Measured(
            count,
            producers=_produce(bench, count, voters),
            consumers=_consume(bench, count),
            stream=_tally(bench, count, voters),
        )
        print_line(
            f"{count} of each: {step.producers:,.0f} votes/s sent, {step.consumers:,.0f} decided, "
            f"{step.stream:,.0f} tallied"
        )
        steps.append(step)
    return steps


def _begin(bench: _Bench, count: int) -> None:
    database = DatabaseSettings(SecretStr(bench.stack.database_url))
    with connect(database) as conn:
        forget_election(bench.admin, conn)
        set_up_election(bench.admin, conn, partitions=count)


def _produce(bench: _Bench, count: int, voters: int) -> float:
    bench.run(
        service_command(
            bench.stack,
            "voting-producer",
            *("run", "--source=synthetic", f"--voters={voters}", f"--slice={number}/{count}"),
            name=f"voting-producer-{number}",
        )
        for number in range(1, count + 1)
    )
    return steady_rate(map(_mark, bench.messages(topics.VOTERS)))


def _consume(bench: _Bench, count: int) -> float:
    bench.run(
        service_command(
            bench.stack,
            "voting-consumer",
            *("run", f"--instance={number}", f"--until-idle={IDLE_SECONDS}"),
            name=f"voting-consumer-{number}",
        )
        for number in range(1, count + 1)
    )
    return steady_rate(map(_mark, bench.messages(topics.VOTES)))


def _tally(bench: _Bench, count: int, voters: int) -> float:
    checkpoint = bench.directory / "checkpoint"
    command = service_command(
        bench.stack,
        "voting-stream",
        *("run", f"--master=local[{count}]", f"--shuffle-partitions={count}"),
        *("--trigger=available-now", f"--checkpoint={checkpoint}"),
        f"--max-offsets-per-trigger={max(1, voters // STREAM_BATCHES)}",
    )
    bench.run([command])
    shutil.rmtree(checkpoint)
    return steady_rate(_tallied(bench.messages(topics.AGGREGATED_PROGRESS)))


def _mark(message: Message) -> Mark:
    return Mark(message.timestamp()[1] / 1000)


def _tallied(messages: Iterable[Message]) -> Iterable[Mark]:
    """Return the increase of a partition's total at each of its records."""
    totals: dict[bytes | None, int] = {}
    for message in messages:
        key, total = message.key(), decode_object(message.value() or b"")["total_votes"]
        if total > totals.get(key, 0):
            yield Mark(message.timestamp()[1] / 1000, total - totals.get(key, 0))
            totals[key] = total
