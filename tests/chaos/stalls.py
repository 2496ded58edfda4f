"""The kinds of stall, each injected on real parts and removed again."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

import attrs
import psycopg

from chaos.stall_bench import StallBench
from testkit.other_database import created_database
from testkit.restart_policy import Service
from testkit.transactions import begin_transaction
from voting_core.database import connect, migrate
from voting_core.database.election import create_election
from voting_core.election import new_election
from voting_core.kafka import connect_admin, create_topics, delete_topics
from voting_core.topics import VOTES
from voting_infra import Server

__all__ = ["STALLS", "Stall"]


@attrs.frozen
class Stall:
    """A kind of stall.

    Attributes:
        inject: Causes it for the duration of a context; yields the database that `voting status`
            looks at, or None for the pipeline's own.
        kinds: Kinds of problems, one of which must be diagnosed.
        exit_codes: What `voting status` may exit with.
    """

    inject: Callable[[StallBench], AbstractContextManager[str | None]]
    kinds: set[str]
    exit_codes: set[int] = attrs.field(factory=lambda: {3})


def frozen(service: Callable[[StallBench], Service]) -> Callable[..., AbstractContextManager[None]]:
    """Return the stall of a service that is paused with all its processes."""

    @contextmanager
    def inject(bench: StallBench) -> Iterator[None]:
        child = service(bench).running()
        child.pause()
        try:
            yield
        finally:
            child.resume()

    return inject


@contextmanager
def recreated_topic(bench: StallBench) -> Iterator[None]:
    """Delete and create votes_topic by hand, under the running services."""
    admin = connect_admin(bench.kafka)
    delete_topics(admin, [VOTES])
    create_topics(admin, [VOTES], partitions=2, replication=1)
    try:
        yield
    finally:
        for service in (bench.consumer, bench.stream):
            child = service.release()
            if child is not None:
                child.stop(60)
        # A record that arrived meanwhile would be published twice.
        delete_topics(admin, [VOTES])
        bench.set_up()
        for service in (bench.consumer, bench.stream):
            service.start()


@contextmanager
def lock_in_the_database(bench: StallBench) -> Iterator[None]:
    """Lock the table of votes, as a careless maintenance command does."""
    with psycopg.connect(bench.stack.database_url, application_name="maintenance") as conn:
        conn.execute("LOCK TABLE votes IN ACCESS EXCLUSIVE MODE")
        yield
        conn.rollback()


@contextmanager
def open_transaction(bench: StallBench) -> Iterator[None]:
    """Leave a transaction of another client open on votes_topic."""
    producer = begin_transaction(
        bench.stack.bootstrap_servers, f"other-{uuid.uuid4()}", seconds=600
    )
    for partition in range(2):
        producer.produce(VOTES.name, b"{}", partition=partition)
    producer.flush(30)
    try:
        yield
    finally:
        producer.abort_transaction(30)


@contextmanager
def full_disk_of_postgres(bench: StallBench) -> Iterator[None]:
    """Fill the disk with PostgreSQL's data."""
    filler = bench.supervisor.fill("postgres")
    try:
        yield
    finally:
        filler.unlink()
        if not bench.stack.postgres.running:
            bench.stack.postgres.start()


@contextmanager
def full_disk_of_kafka(bench: StallBench) -> Iterator[None]:
    """Fill the disk with Kafka's logs: the broker ends at its next new segment."""
    filler = bench.supervisor.fill("kafka")
    try:
        yield
    finally:
        filler.unlink()
        bench.stack.kafka.kill()
        bench.stack.kafka.start()


@contextmanager
def slow_database(bench: StallBench) -> Iterator[None]:
    """Let every insert of votes take a minute."""
    with connect(bench.database) as conn:
        conn.execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$"
        )
        conn.execute(
            "CREATE TRIGGER slow BEFORE INSERT ON votes FOR EACH STATEMENT EXECUTE FUNCTION slow()"
        )
        try:
            yield
        finally:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'voting-consumer'"
            )
            conn.execute("DROP FUNCTION slow CASCADE")


@contextmanager
def fenced_instance(bench: StallBench) -> Iterator[None]:
    """Run a second consumer of the same instance, which is restarted like the first."""
    twin = Service(bench.supervisor, bench.commands.consumer("a"), bench.restarts)
    twin.start()
    bench.restart_policy.add(twin)
    try:
        yield
    finally:
        twin.kill_without_restart()


def stopped(server: Callable[[StallBench], Server]) -> Callable[..., AbstractContextManager[None]]:
    """Return the stall of a server that is down."""

    @contextmanager
    def inject(bench: StallBench) -> Iterator[None]:
        server(bench).kill()
        try:
            yield
        finally:
            server(bench).start()

    return inject


@contextmanager
def no_partitions_assigned(bench: StallBench) -> Iterator[None]:
    """End the only consumer, in an orderly way, so that no partition is assigned."""
    child = bench.consumer.release()
    assert child is not None
    child.stop(60)
    try:
        yield
    finally:
        bench.consumer.start()


@contextmanager
def wrong_election(bench: StallBench) -> Iterator[str]:
    """Look at the database of another election."""
    with connect(bench.database) as conn, created_database(conn, bench.database) as database:
        with connect(database) as other:
            migrate(other)
            create_election(other, new_election(datetime.now(UTC)))
        yield str(database.url)


STALLS = {
    # A paused consumer loses its partitions after some seconds, and is then no member any more.
    "frozen consumer": Stall(
        frozen(lambda bench: bench.consumer), {"frozen_consumer", "no_consumer", "no_partitions"}
    ),
    "frozen stream": Stall(frozen(lambda bench: bench.stream), {"frozen_stream"}),
    "recreated topic": Stall(recreated_topic, {"recreated_topic"}, {2}),
    "lock in the database": Stall(lock_in_the_database, {"lock"}),
    "open transaction": Stall(open_transaction, {"open_transaction"}),
    "full disk of PostgreSQL": Stall(full_disk_of_postgres, {"disk_full_database"}),
    # Kafka's broker ends when it cannot write.
    "full disk of Kafka": Stall(full_disk_of_kafka, {"disk_full_kafka", "no_broker"}),
    "slow database": Stall(slow_database, {"slow_database"}),
    "fenced instance": Stall(fenced_instance, {"fenced_instance"}),
    "no broker": Stall(stopped(lambda bench: bench.stack.kafka), {"no_broker"}),
    "no database": Stall(stopped(lambda bench: bench.stack.postgres), {"no_database"}),
    "no partitions assigned": Stall(no_partitions_assigned, {"no_consumer", "no_partitions"}),
    "wrong election": Stall(wrong_election, {"wrong_election"}, {2}),
}
"""The kinds by name."""
