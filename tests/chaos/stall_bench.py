"""A small pipeline under steady load, whose stalls `voting status` must name."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

import attrs
import psycopg
from confluent_kafka import Producer
from typed_settings import SecretStr

from chaos.service_commands import Commands
from testkit.operator_status import Status
from testkit.paths import SCRIPTS
from testkit.restart_policy import RestartPolicy, Restarts, Service
from voting_core.database import connect
from voting_core.database.voter_register import add_candidates, add_voters
from voting_core.kafka import connect_admin
from voting_core.models import Address, Candidate, Voter
from voting_core.operator.setup import TopicLayout, set_up_election
from voting_core.serialization import encode_voter
from voting_core.service.settings import DatabaseSettings, KafkaSettings
from voting_core.topics import VOTERS
from voting_infra import Stack, Supervisor, open_stack
from voting_infra.service_commands import service_environment

__all__ = ["SmallDisks", "StallBench", "open_bench"]

PARTITIONS = 2
DISK_MEBIBYTES = 768
REGISTERED = 20_000
BALLOTS_PER_SECOND = 50
STATUS_SECONDS = 30.0


class SmallDisks(Supervisor):
    """A supervisor that gives Kafka and PostgreSQL a small disk each, so that it can be full.

    A disk is a file system in memory; mounting one needs root.
    """

    def __init__(self, log_dir: Path) -> None:
        super().__init__(log_dir)
        self.disks: dict[str, Path] = {}

    def make_directory(self, purpose: str, parent: Path | None = None) -> Path:
        """Make a directory, for the data of a server on a disk of its own."""
        path = super().make_directory(purpose, parent)
        if purpose in ("kafka", "postgres"):
            options = f"size={DISK_MEBIBYTES}m,mode=700"
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)
            self.disks[purpose] = path
        return path

    def release(self) -> None:
        """Remove the disks, once the servers have ended."""
        while self.disks:
            _, path = self.disks.popitem()
            subprocess.run(["umount", path], check=True)

    def fill(self, purpose: str) -> Path:
        """Fill a server's disk, and return the file to remove."""
        filler = self.disks[purpose] / "filler"
        subprocess.run(
            ["dd", "if=/dev/zero", f"of={filler}", "bs=1M"],
            stderr=subprocess.DEVNULL,
            check=False,
        )
        return filler


class LoadThread:
    """Sends ballots of registered voters at a steady rate, whatever happens to Kafka."""

    def __init__(self, bootstrap_servers: str, ballots: list[tuple[str, bytes]]) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "partitioner": "murmur2_random",
                "message.timeout.ms": 0,
                "log_level": 0,
            }
        )
        self._ballots = ballots
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop sending."""
        self._closing.set()
        self._thread.join()
        self._producer.purge()

    def _run(self) -> None:
        number = 0
        while not self._closing.wait(1 / BALLOTS_PER_SECOND):
            # The last voters vote again and again: their ballots are decided too.
            voter_id, ballot = self._ballots[min(number, len(self._ballots) - 1)]
            self._producer.produce(VOTERS.name, ballot, voter_id.encode())
            self._producer.poll(0)
            number += 1


@attrs.frozen(kw_only=True)
class StallBench:
    """A running pipeline, and control over its parts."""

    stack: Stack
    supervisor: SmallDisks
    kafka: KafkaSettings
    database: DatabaseSettings
    commands: Commands
    restart_policy: RestartPolicy
    restarts: Restarts
    consumer: Service
    stream: Service

    def status(self, database_url: str | None = None) -> Status:
        """Run `voting status --json`."""
        done = subprocess.run(
            [SCRIPTS / "voting", "status", "--json"],
            env=service_environment(
                self.stack.bootstrap_servers, database_url or self.stack.database_url
            ),
            capture_output=True,
            text=True,
            timeout=STATUS_SECONDS,
            check=False,
        )
        return Status.of(done)

    def set_up(self) -> None:
        """Create the election, or what is missing of it."""
        with connect(self.database) as conn:
            _set_up(self.kafka, conn)


@contextmanager
def open_bench(log_dir: Path) -> Iterator[StallBench]:
    """Bring up the pipeline, with a consumer and a stream that are restarted when they end."""
    with SmallDisks(log_dir) as supervisor, ExitStack() as contexts:
        contexts.callback(supervisor.release)
        stack = contexts.enter_context(open_stack(supervisor=supervisor))
        kafka = KafkaSettings(stack.bootstrap_servers)
        database = DatabaseSettings(SecretStr(stack.database_url))
        commands = Commands(stack, supervisor.make_directory("stalls"))
        restarts = Restarts()
        consumer = Service(supervisor, commands.consumer("a"), restarts)
        stream = Service(supervisor, commands.stream(), restarts)
        with connect(database) as conn:
            _set_up(kafka, conn)
            add_candidates(conn, [Candidate("ada", "Ada")])
            voters = [_voter(number) for number in range(REGISTERED)]
            add_voters(conn, voters)
        for service in (consumer, stream):
            service.start()
        restart_policy = RestartPolicy(supervisor, (consumer, stream))
        contexts.callback(restart_policy.close)
        load = LoadThread(
            stack.bootstrap_servers, [(voter.voter_id, encode_voter(voter)) for voter in voters]
        )
        contexts.callback(load.close)
        yield StallBench(
            stack=stack,
            supervisor=supervisor,
            kafka=kafka,
            database=database,
            commands=commands,
            restart_policy=restart_policy,
            restarts=restarts,
            consumer=consumer,
            stream=stream,
        )


def _set_up(kafka: KafkaSettings, conn: psycopg.Connection) -> None:
    layout = TopicLayout(partitions=PARTITIONS)
    set_up_election(kafka, connect_admin(kafka), conn, layout=layout)


def _voter(number: int) -> Voter:
    return Voter(
        f"v{number:05}",
        f"Voter {number}",
        date(1980, 1, 1),
        "female",
        Address("Ohio"),
        choice="ada",
    )
