"""The command lines of the services under test, as they are installed, on one stack."""

import os
import sys
from pathlib import Path

from voting_infra.child import Command
from voting_infra.logs import cache_directory
from voting_infra.stack import Stack

__all__ = ["Commands"]

SESSION_SECONDS = 6
# Small batches: the more of them, the more of their edges a kill can land on.
BATCH_SIZE = 200


class Commands:
    """Builds the commands."""

    def __init__(self, stack: Stack, directory: Path) -> None:
        """Prepare.

        Args:
            stack: What the services run on.
            directory: For the stream's checkpoint.
        """
        self.checkpoint = directory / "checkpoint"
        self._log_dir = stack.log_dir
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("VOTING_")}
        self._env = inherited | {
            "VOTING_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
            "VOTING_DATABASE_URL": stack.database_url,
            "SPARK_LOCAL_IP": "127.0.0.1",
        }

    def producer(self, results: Path, rate: float) -> Command:
        """Return the command that sends a slice and ends."""
        return self._command(
            "voting-producer",
            *("run", "--source=results", f"--results={results}", "--scale=1", f"--rate={rate}"),
        )

    def consumer(self, instance: str) -> Command:
        """Return the command of one consumer of the group."""
        return self._command(
            "voting-consumer",
            *("run", f"--instance={instance}", f"--session-timeout={SESSION_SECONDS}"),
            f"--batch-size={BATCH_SIZE}",
            name=f"voting-consumer-{instance}",
        )

    def stream(self) -> Command:
        """Return the command of the tally."""
        return self._command(
            "voting-stream",
            *("run", f"--checkpoint={self.checkpoint}"),
            f"--class-archives={cache_directory() / 'spark'}",
            "--spark-conf=spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        )

    def _command(self, script: str, *args: str, name: str | None = None) -> Command:
        return Command(
            name=name or script,
            argv=[Path(sys.executable).parent / script, *args],
            env=self._env,
            log_path=self._log_dir / f"{name or script}.log",
        )
