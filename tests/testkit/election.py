"""A fresh election on a running stack, and how to run services on it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import psycopg
from confluent_kafka.admin import AdminClient
from typed_settings import SecretStr

from testkit.checker.evidence import Evidence, gather_evidence
from testkit.paths import SCRIPTS
from voting_core.database import connect
from voting_core.election import ElectionChanges
from voting_core.kafka import connect_admin, create_topics, delete_topics
from voting_core.operator.setup import TopicLayout, forget_election, set_up_election
from voting_core.service.settings import DatabaseSettings, KafkaSettings
from voting_core.topics import TopicSpec
from voting_infra import Child, Command, Stack, Supervisor
from voting_infra.service_commands import service_environment, spark_archives

__all__ = ["QUICK_CONSUMER", "QUICK_JAVA", "Election", "fresh_election"]

QUICK_CONSUMER = ("--until-idle=0.5", "--session-timeout=2")
"""Options of a consumer that ends soon, and whose death the group notices soon."""

QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Java options of a stream that ends before the code of the second compiler would pay."""


@attrs.frozen
class Election:
    """An election without any ballots, and how to run services on it."""

    kafka: KafkaSettings
    database: DatabaseSettings
    admin: AdminClient
    conn: psycopg.Connection
    supervisor: Supervisor
    directory: Path

    def environment(self) -> dict[str, str]:
        """Return the environment in which a command works on this election."""
        return service_environment(self.kafka.bootstrap_servers, str(self.database.url))

    def run(
        self, script: str, *args: str, timeout: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a console script to its end."""
        return subprocess.run(
            [SCRIPTS / script, *args],
            env=self.environment(),
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def command(self, script: str, *args: str, name: str | None = None) -> Command:
        """Return the command that starts a console script."""
        return Command(
            name=name or script,
            argv=[SCRIPTS / script, *args],
            env=self.environment(),
            cwd=self.directory,
            log_path=self.directory / f"{name or script}.log",
        )

    def start(self, script: str, *args: str, name: str | None = None) -> Child:
        """Start a console script; the election's end stops it."""
        return self.supervisor.start(self.command(script, *args, name=name))

    def set_up(self) -> None:
        """Create what is missing of the election, and register what was recreated."""
        set_up_election(self.kafka, self.admin, self.conn, layout=TopicLayout(partitions=2))

    def recreate(self, topic: TopicSpec) -> None:
        """Delete a topic and create it again, as an operator does by hand."""
        delete_topics(self.admin, [topic])
        create_topics(self.admin, [topic], partitions=2, replication=1)

    def consume(self, *args: str) -> None:
        """Run a consumer until no ballot is left to decide; it must succeed."""
        done = self.run("voting-consumer", "run", *QUICK_CONSUMER, *args)
        assert done.returncode == 0, done.stderr

    def tally(self, *args: str) -> None:
        """Run the stream until all published votes are counted; it must succeed."""
        done = self.run(
            *("voting-stream", "run", "--trigger=available-now", "--master=local[1]"),
            f"--spark-conf=spark.driver.extraJavaOptions={QUICK_JAVA}",
            f"--class-archives={spark_archives()}",
            *args,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr

    def gather_evidence(self) -> Evidence:
        """Return what every data store holds."""
        return gather_evidence(self.kafka.bootstrap_servers, str(self.database.url))


@contextmanager
def fresh_election(
    stack: Stack,
    directory: Path,
    *,
    partitions: int = 2,
    changes: ElectionChanges | None = None,
) -> Iterator[Election]:
    """Begin an election with empty tables and newly created topics.

    Args:
        stack: What it runs on; its previous election is deleted.
        directory: For logs, and where commands run.
        partitions: Of each log topic.
        changes: What `voting init` is asked for, such as the mode.
    """
    kafka = KafkaSettings(stack.bootstrap_servers)
    database = DatabaseSettings(SecretStr(stack.database_url))
    admin = connect_admin(kafka)
    with connect(database) as conn:
        forget_election(admin, conn)
        set_up_election(kafka, admin, conn, changes, TopicLayout(partitions=partitions))
        with Supervisor(directory) as services:
            yield Election(kafka, database, admin, conn, services, directory)
