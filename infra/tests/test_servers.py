"""The behaviour of Kafka and PostgreSQL in either kind of stack."""

import contextlib
import re
import select

import psycopg
import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from kafka_records import produce, read

from voting_infra import Stack
from voting_infra.containers import ContainerServer
from voting_infra.servers import EmbeddedServer, Server


def exit_status(server: Server) -> int | None:
    """The status that a server's program has ended with."""
    if isinstance(server, EmbeddedServer):
        return server.child.returncode
    assert isinstance(server, ContainerServer)
    status = server.container.attrs["State"]["ExitCode"]
    assert isinstance(status, int)
    return status


def test_kafka_keeps_its_data_through_a_crash(stack: Stack) -> None:
    """What was acknowledged before a SIGKILL is there after the restart, at the same address."""
    client = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    client.create_topics([NewTopic("crash", 1, 1)])["crash"].result(60)
    produce(stack, "crash", b"before")
    stack.kafka.kill()
    assert not stack.kafka.running
    stack.kafka.start()
    produce(stack, "crash", b"after")
    assert read(stack, "crash", 2) == [b"before", b"after"]


def test_topics_are_not_made_by_accident(stack: Stack) -> None:
    """Producing to a topic that does not exist makes none."""
    client = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers, "message.timeout.ms": 500})
    producer.produce("accident", b"")
    producer.flush(20)
    assert "accident" not in client.list_topics(timeout=60).topics


def test_postgres_keeps_its_data_through_a_crash(stack: Stack) -> None:
    """What was committed before a SIGKILL is there after the restart, at the same address."""
    with psycopg.connect(stack.database_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
    stack.postgres.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(stack.database_url)
    stack.postgres.start()
    with psycopg.connect(stack.database_url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (42,)


def test_an_orderly_stop_ends_postgres_despite_clients(stack: Stack) -> None:
    """PostgreSQL stops with status 0 while a client is connected, and starts again."""
    with psycopg.connect(stack.database_url):
        stack.postgres.stop()
        assert not stack.postgres.running
        assert exit_status(stack.postgres) == 0
    stack.postgres.start()
    psycopg.connect(stack.database_url).close()


def test_a_paused_kafka_does_not_answer(stack: Stack) -> None:
    """A paused Kafka answers no request, a resumed one does again."""
    client = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    client.list_topics(timeout=60)
    stack.kafka.pause()
    try:
        assert stack.kafka.running
        # The kernel stops a thread that runs at its next tick, so one more answer may come.
        with contextlib.suppress(KafkaException):
            client.list_topics(timeout=1)
        with pytest.raises(KafkaException):
            client.list_topics(timeout=1)
    finally:
        stack.kafka.resume()
    assert client.list_topics(timeout=60).brokers


def test_a_paused_postgres_keeps_its_connections(stack: Stack) -> None:
    """A pause freezes the connections that are open, and a resume lets them go on."""
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        stack.postgres.pause()
        try:
            connection.pgconn.send_query(b"SELECT 1")
            assert not select.select([connection.fileno()], [], [], 1.0)[0]
        finally:
            stack.postgres.resume()
        while connection.pgconn.get_result() is not None:
            pass
        assert connection.execute("SELECT 2").fetchone() == (2,)


def test_a_paused_server_can_be_killed(stack: Stack) -> None:
    """A crash may come while the server is frozen."""
    stack.postgres.pause()
    stack.postgres.kill()
    assert not stack.postgres.running
    stack.postgres.start()
    assert stack.postgres.running


def test_durability_is_on(stack: Stack) -> None:
    """PostgreSQL syncs every commit, sorts by code point, and wants the password."""
    with psycopg.connect(stack.database_url) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.execute(f"SHOW {setting}").fetchone() == ("on",)
        assert connection.execute("SELECT 'a' > 'B', 'é' > 'z'").fetchone() == (True, True)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(re.sub(r":[^:@]+@", ":wrong@", stack.database_url))
