"""The command lines of the four services."""

from pathlib import Path

from voting_infra.demo.options import DemoOptions
from voting_infra.logs import cache_directory
from voting_infra.processes import Command
from voting_infra.service_commands import service_command
from voting_infra.stack import Stack

__all__ = ["Services"]


class Services:
    """Builds the commands of the services as they are installed, on one stack."""

    def __init__(self, stack: Stack, directory: Path) -> None:
        """Prepare.

        Args:
            stack: What they run on.
            directory: For the stream's checkpoint and the producer's report.
        """
        self._stack = stack
        self._directory = directory

    @property
    def report(self) -> Path:
        """Where the producer reports what it sent."""
        return self._directory / "producer.json"

    def producer(self, options: DemoOptions) -> Command:
        """Return the command that sends the voters and ends."""
        args = [f"--source={options.source}", f"--report={self.report}"]
        if options.source == "results":
            args += [f"--results={options.results}", f"--scale={options.scale}"]
            args += [f"--year={options.year}"] if options.year is not None else []
            args += [f"--office={options.office}"] if options.office is not None else []
        else:
            args += [f"--voters={options.voters}", f"--seed={options.seed}"]
        if options.api_url is not None:
            args.append(f"--api-url={options.api_url}")
        args.append(f"--rate={options.rate}")
        return service_command(self._stack, "voting-producer", "run", *args)

    def consumer(self) -> Command:
        """Return the command that decides on ballots until it is stopped."""
        return service_command(self._stack, "voting-consumer", "run", "--instance=demo")

    def stream(self) -> Command:
        """Return the command that tallies until it is stopped."""
        return service_command(
            self._stack,
            "voting-stream",
            "run",
            f"--checkpoint={self._directory / 'tally'}",
            f"--class-archives={cache_directory() / 'spark'}",
            # A demo is over before the better code of the second compiler would pay.
            "--spark-conf=spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        )

    def dashboard(self, port: int) -> Command:
        """Return the command that shows the count on a port of this machine."""
        return service_command(
            self._stack, "voting-dashboard", "--host=127.0.0.1", f"--port={port}"
        )
