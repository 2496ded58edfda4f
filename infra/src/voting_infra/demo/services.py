"""What the demo runs: the options, and the command lines of the four services."""

from pathlib import Path

import attrs

from voting_infra.processes import Command
from voting_infra.service_commands import service_command, spark_archives
from voting_infra.stack import Stack


@attrs.frozen(kw_only=True)
class DemoOptions:
    """The options of the command line, which documents them, with all defaults filled in."""

    source: str
    results: Path
    year: str | None
    office: str | None
    scale: int
    voters: int
    rate: float
    seed: str
    api_url: str | None
    headless: bool
    summary: Path | None
    port: int


@attrs.frozen
class Services:
    """Builds the commands of the installed services.

    Attributes:
        stack: What they run on.
        directory: For the stream's checkpoint and the producer's report.
    """

    stack: Stack
    directory: Path

    @property
    def report(self) -> Path:
        """Where the producer reports what it sent."""
        return self.directory / "producer.json"

    def producer(self, options: DemoOptions) -> Command:
        """Return the command that sends the voters and ends."""
        chosen: dict[str, object] = {"source": options.source, "report": self.report}
        if options.source == "results":
            chosen |= {"results": options.results, "scale": options.scale}
            chosen |= {"year": options.year, "office": options.office}
        else:
            chosen |= {"voters": options.voters, "seed": options.seed}
        chosen |= {"api-url": options.api_url, "rate": options.rate}
        args = [f"--{name}={value}" for name, value in chosen.items() if value is not None]
        return service_command(self.stack, "voting-producer", "run", *args)

    def consumer(self) -> Command:
        """Return the command that decides on ballots until it is stopped."""
        return service_command(self.stack, "voting-consumer", "run", "--instance=demo")

    def stream(self) -> Command:
        """Return the command that tallies until it is stopped."""
        return service_command(
            self.stack,
            "voting-stream",
            "run",
            f"--checkpoint={self.directory / 'tally'}",
            f"--class-archives={spark_archives()}",
            # A demo is over before the better code of the second compiler would pay.
            "--spark-conf=spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        )

    def dashboard(self, port: int) -> Command:
        """Return the command that shows the count on a port of this machine."""
        return service_command(self.stack, "voting-dashboard", "--host=127.0.0.1", f"--port={port}")
