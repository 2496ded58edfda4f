"""The command lines of the installed services on one stack."""

from pathlib import Path

from testkit.election import QUICK_JAVA
from voting_infra import Command, Stack
from voting_infra.service_commands import service_command, spark_archives
from voting_stream.settings import StreamSettings

__all__ = ["Commands"]

SESSION_SECONDS = 6
# The smaller the batches, the more of their boundaries a kill can hit.
BATCH_SIZE = 200


class Commands:
    """Builds the commands."""

    def __init__(
        self, stack: Stack, directory: Path, *, trigger: str = StreamSettings().trigger
    ) -> None:
        """Prepare.

        Args:
            stack: What the services run on.
            directory: For the stream's checkpoint.
            trigger: That of the stream.
        """
        self.checkpoint = directory / "checkpoint"
        self._stack = stack
        self._trigger = trigger

    def producer(self, results: Path, rate: float) -> Command:
        """Return the command that sends a results file and ends."""
        return service_command(
            self._stack,
            "voting-producer",
            *("run", "--source=results", f"--results={results}", "--scale=1", f"--rate={rate}"),
        )

    def consumer(self, instance: str) -> Command:
        """Return the command of one consumer of the group."""
        return service_command(
            self._stack,
            "voting-consumer",
            *("run", f"--instance={instance}", f"--session-timeout={SESSION_SECONDS}"),
            f"--batch-size={BATCH_SIZE}",
            name=f"voting-consumer-{instance}",
        )

    def stream(self) -> Command:
        """Return the command of the stream."""
        return service_command(
            self._stack,
            "voting-stream",
            *("run", f"--checkpoint={self.checkpoint}", f"--trigger={self._trigger}"),
            f"--class-archives={spark_archives()}",
            f"--spark-conf=spark.driver.extraJavaOptions={QUICK_JAVA}",
        )
