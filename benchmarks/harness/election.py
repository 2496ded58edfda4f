"""An election on a running stack, and its services."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import psycopg
from confluent_kafka import Message
from confluent_kafka.admin import AdminClient
from typed_settings import SecretStr

from voting_core.database import connect
from voting_core.election import Election
from voting_core.kafka import connect_admin, read_to_end
from voting_core.operator.setup import TopicLayout, forget_election, set_up_election
from voting_core.service.settings import DatabaseSettings, KafkaSettings
from voting_infra import Child, ChildExited, Command, Stack, Supervisor
from voting_infra.processes import describe_exit
from voting_infra.service_commands import service_command

__all__ = ["ElectionBench", "open_bench"]

TIMEOUT_SECONDS = 3600.0


@attrs.frozen
class ElectionBench:
    """Begins elections on a stack, one after the other, and runs services on them.

    Attributes:
        supervisor: Runs the services.
        stack: What they run on.
        kafka: How to connect to its Kafka.
        admin: A connection to it.
        conn: A connection to its PostgreSQL, in autocommit mode.
        directory: For checkpoints, reports and results of programs.
    """

    supervisor: Supervisor
    stack: Stack
    kafka: KafkaSettings
    admin: AdminClient
    conn: psycopg.Connection
    directory: Path

    def begin(self, partitions: int) -> Election:
        """Delete the election and begin another one, with empty tables and topics."""
        forget_election(self.admin, self.conn)
        layout = TopicLayout(partitions=partitions)
        return set_up_election(self.kafka, self.admin, self.conn, layout=layout)

    def service(self, script: str, *args: str, name: str | None = None) -> Command:
        """Return the command of a service on the stack."""
        return service_command(self.stack, script, *args, name=name)

    def start(self, command: Command) -> Child:
        """Start a service or another program."""
        return self.supervisor.start(command)

    def run(self, commands: Iterable[Command]) -> None:
        """Run programs at the same time until all have ended.

        Raises:
            ChildExited: One has failed.
        """
        self.await_end([self.start(command) for command in commands])

    def await_end(self, children: Iterable[Child]) -> None:
        """Wait until programs have ended.

        Raises:
            ChildExited: One has failed.
        """
        for child in children:
            code = child.wait(TIMEOUT_SECONDS)
            if code:
                raise ChildExited(child.name, describe_exit(code), child.log_path)

    def messages(self, topic: str) -> Iterator[Message]:
        """Return the committed records of a topic."""
        return read_to_end(self.kafka, self.admin, topic)


@contextmanager
def open_bench(supervisor: Supervisor, stack: Stack) -> Iterator[ElectionBench]:
    """Connect to a stack, whose election will be deleted."""
    kafka = KafkaSettings(stack.bootstrap_servers)
    with connect(DatabaseSettings(SecretStr(stack.database_url))) as conn:
        yield ElectionBench(
            supervisor, stack, kafka, connect_admin(kafka), conn, supervisor.make_directory("bench")
        )
