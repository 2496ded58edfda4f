"""What every row needs: an election on a stack, sizes, and a way to run other programs."""

import itertools
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from bench.sizes import Sizes
from bench.workload import Workload
from harness.election import ElectionBench
from voting_core.kafka import topic_ids
from voting_core.topics import TopicSpec
from voting_infra import Command, Server
from voting_infra.servers import EmbeddedServer
from voting_infra.service_commands import environment_without_settings
from voting_stream.settings import StreamSettings

__all__ = ["BENCHMARKS", "PARTITIONS", "Context", "Program", "read_program"]

BENCHMARKS = Path(__file__).parents[1]

PARTITIONS = 4
"""Of the log topics: the default of `voting init`."""


@attrs.frozen
class Program:
    """What a peer or a limit counted.

    Attributes:
        counted: All that it counted.
        votes: What it counted in the measured time.
        seconds: The measured time, without the start of the program.
        ended_at: When it was over, in seconds since 1970.
        totals: Votes of each candidate, if the program counts them.
    """

    counted: int
    votes: int
    seconds: float
    ended_at: float
    totals: Mapping[str, int] | None = None

    @property
    def rate(self) -> float:
        """Votes per second."""
        return self.votes / self.seconds

    def __str__(self) -> str:
        return f"{self.rate:>10,.0f} votes/s"


@attrs.frozen
class Context:
    """What rows are measured with.

    Attributes:
        bench: The election and its stack.
        sizes: How much is counted.
        peers_python: The Python of the environment of the stream processors.
        pathway_python: That of the environment of Pathway, if it is measured.
        print_line: Prints one line of progress.
        workload: The voters and ballots of an election, to be loaded again.
    """

    bench: ElectionBench
    sizes: Sizes
    peers_python: Path
    print_line: Callable[[str], None]
    workload: Workload
    pathway_python: Path | None = None
    _numbers: "itertools.count[int]" = attrs.field(factory=itertools.count, init=False)

    def prepare(self) -> None:
        """Send and keep the ballots that rows load; the first row that loads any needs it."""
        if self.workload.ballots:
            return
        self.print_line(f"preparing {self.sizes.ballots:,} ballots")
        self.bench.begin(PARTITIONS)
        arguments = ("run", "--source=synthetic", f"--voters={self.sizes.ballots}")
        self.bench.run([self.bench.service("voting-producer", *arguments)])
        self.workload.keep()

    def new_directory(self, purpose: str) -> Path:
        """Make a directory that no run has used."""
        directory = self.bench.directory / f"{purpose}-{next(self._numbers)}"
        directory.mkdir()
        return directory

    def server_pids(self) -> dict[str, int]:
        """Return the process ids of Kafka and PostgreSQL, for a meter."""
        stack = self.bench.stack
        return {"Kafka": _pid(stack.kafka), "PostgreSQL": _pid(stack.postgres)}

    def topic_id(self, topic: TopicSpec) -> str:
        """Return the id of a topic."""
        return topic_ids(self.bench.admin, [topic])[topic.name]

    def program(
        self, module: str, *args: str, result: Path, python: Path = Path(sys.executable)
    ) -> Command:
        """Return the command of a program of `peers` or `limits`.

        Args:
            module: Its module, such as `peers.one_by_one_consumer`.
            args: Options beside the addresses of the stack.
            result: The file that it writes.
            python: Runs it; by default that of this environment.
        """
        stack = self.bench.stack
        environ = environment_without_settings()
        # Nothing of this environment's packages is visible in the other.
        environ |= {"PYTHONPATH": str(BENCHMARKS), "SPARK_LOCAL_IP": "127.0.0.1"}
        return Command(
            name=module,
            argv=[
                *(python, "-m", module),
                f"--bootstrap-servers={stack.bootstrap_servers}",
                f"--database-url={stack.database_url}",
                f"--kafka-package={StreamSettings().kafka_package}",
                f"--java-options={self.sizes.java_options}",
                f"--result={result}",
                *args,
            ],
            env=environ,
            log_path=stack.log_dir / f"{module}.log",
        )

    def run_program(self, module: str, *args: str, python: Path = Path(sys.executable)) -> Program:
        """Run a program to its end and return what it counted.

        Raises:
            ChildExited: It has failed.
        """
        directory = self.new_directory(module)
        result = directory / "result.json"
        command = self.program(
            module, f"--directory={directory}", *args, result=result, python=python
        )
        self.bench.run([command])
        return read_program(result)


def read_program(result: Path) -> Program:
    """Return what a program wrote about itself."""
    read = json.loads(result.read_text(encoding="utf-8"))
    seconds = read["ended_at"] - read["started_at"]
    return Program(read["counted"], read["votes"], seconds, read["ended_at"], read["totals"])


def _pid(server: Server) -> int:
    assert isinstance(server, EmbeddedServer), "the benchmark measures the embedded stack"
    return server.child.pid
