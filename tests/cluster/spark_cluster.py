"""A Spark cluster in standalone mode, from the programs that the pyspark wheel carries."""

import importlib.util
import json
import logging
import os
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voting_core.service.java import QUIET_OPTIONS
from voting_infra.exceptions import SupervisionError
from voting_infra.ports import LOOPBACK
from voting_infra.processes import Command
from voting_infra.servers import EmbeddedServer
from voting_infra.supervisor import Supervisor

_log = logging.getLogger(__name__)

_DAEMON_HEAP = "256m"
# Spark would silently take the next free port, where no client looks for it.
_DAEMON_OPTIONS = (
    *QUIET_OPTIONS,
    "-Dspark.port.maxRetries=0",
    # Another way in for applications, on a fixed port.
    "-Dspark.master.rest.enabled=false",
)


class SparkMaster(EmbeddedServer):
    """The master, which gives the workers' cores to applications."""

    name = "spark-master"
    port_count = 2

    def __init__(self, supervisor: Supervisor, *, timeout: float = 120.0) -> None:
        """Prepare a master that knows no workers.

        Args:
            supervisor: Runs it.
            timeout: Seconds within which it must answer after a start.
        """
        super().__init__(supervisor, timeout)
        self._directory = supervisor.make_directory(self.name)

    @property
    def url(self) -> str:
        """What an application is given as its master, `spark://host:port`."""
        return f"spark://{LOOPBACK}:{self._ports[0]}"

    def workers(self, timeout: float = 10.0) -> set[int]:
        """Ask for the workers that are alive and return the ports that they listen on.

        Args:
            timeout: Seconds to wait for an answer.

        Raises:
            OSError: The master is unreachable.
        """
        workers = self._state(timeout)["workers"]
        return {worker["port"] for worker in workers if worker["state"] == "ALIVE"}

    def cores_used(self, timeout: float = 10.0) -> int:
        """Ask how many of the workers' cores applications have.

        Args:
            timeout: Seconds to wait for an answer.

        Raises:
            OSError: The master is unreachable.
        """
        return int(self._state(timeout)["coresused"])

    def _state(self, timeout: float) -> dict[str, Any]:
        address = f"http://{LOOPBACK}:{self._ports[1]}/json/"
        with urllib.request.urlopen(address, timeout=timeout) as answer:
            page = answer.read()
        try:
            state: dict[str, Any] = json.loads(page)
        except json.JSONDecodeError as error:
            # While it starts, it answers every path with its first page.
            raise OSError("Spark's master has not started yet") from error
        return state

    def _command(self) -> Command:
        port, web_port = self._ports
        argv = ["org.apache.spark.deploy.master.Master", "--host", LOOPBACK]
        argv += ["--port", str(port), "--webui-port", str(web_port)]
        return _spark_class(self, argv, self._directory)

    def _answers(self, timeout: float) -> bool:
        try:
            state = self._state(timeout)
        except OSError as error:
            _log.debug("Spark's master does not answer yet: %s", error)
            return False
        return bool(state["url"] == self.url and state["status"] == "ALIVE")


class SparkWorker(EmbeddedServer):
    """A worker, which runs an executor for each application as a process of its own.

    Its executors end with it, as they do when a machine is lost.
    """

    port_count = 2

    def __init__(
        self,
        supervisor: Supervisor,
        master: SparkMaster,
        number: int,
        *,
        cores: int = 1,
        memory_mib: int = 1024,
        timeout: float = 120.0,
    ) -> None:
        """Prepare a worker.

        Args:
            supervisor: Runs it.
            master: Gives it work.
            number: Distinguishes it from other workers, in the name of its log.
            cores: Tasks that it runs at the same time.
            memory_mib: Memory of all its executors, in MiB.
            timeout: Seconds within which the master must know it after a start.
        """
        self.name = f"spark-worker-{number}"
        super().__init__(supervisor, timeout)
        self._master = master
        self._cores = cores
        self._memory_mib = memory_mib
        self._directory = supervisor.make_directory(self.name)

    def _command(self) -> Command:
        port, web_port = self._ports
        argv = ["org.apache.spark.deploy.worker.Worker", "--host", LOOPBACK]
        argv += ["--port", str(port), "--webui-port", str(web_port)]
        argv += ["--cores", str(self._cores), "--memory", f"{self._memory_mib}m"]
        argv += ["--work-dir", str(self._directory), self._master.url]
        return _spark_class(self, argv, self._directory)

    def _answers(self, timeout: float) -> bool:
        try:
            return self._ports[0] in self._master.workers(timeout)
        except OSError as error:
            _log.debug("Spark's master does not answer: %s", error)
            return False


def _spark_class(server: EmbeddedServer, argv: Sequence[str], directory: Path) -> Command:
    home = find_spark_home()
    # No settings of a user's own Spark cluster.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SPARK_")}
    return Command(
        name=server.name,
        argv=[home / "bin" / "spark-class", *argv],
        log_path=server.log_path,
        env=inherited
        | {
            "SPARK_HOME": str(home),
            "SPARK_LOCAL_IP": LOOPBACK,
            # Temporary files, those of executors too, which would stay after a SIGKILL.
            "SPARK_LOCAL_DIRS": str(directory),
            "SPARK_DAEMON_MEMORY": _DAEMON_HEAP,
            "SPARK_DAEMON_JAVA_OPTS": " ".join(_DAEMON_OPTIONS),
        },
        cwd=directory,
    )


def find_spark_home() -> Path:
    """Return the directory of the pyspark wheel, which is laid out as a Spark distribution.

    Raises:
        SupervisionError: The wheel is not installed.
    """
    # Found without importing pyspark, which takes a second.
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise SupervisionError("pyspark, whose wheel carries Spark's programs, is not installed")
    return Path(spec.origin).parent
