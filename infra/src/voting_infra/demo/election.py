"""The election: stack up, services started, everything counted, everything compared."""

import json
import os
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from typed_settings import SecretStr

from voting_core.database import connect
from voting_core.exceptions import SetupError, VotingError
from voting_core.kafka import connect_admin
from voting_core.operator.reconcile import reconcile
from voting_core.operator.setup import set_up_election
from voting_core.operator.status import KafkaStatus, kafka_status
from voting_core.operator.vote_counts import stored_votes
from voting_core.service.files import write_json
from voting_core.service.progress_bar import show_progress
from voting_core.service.settings import DatabaseSettings, KafkaSettings
from voting_infra.demo.interrupts import Interrupts
from voting_infra.demo.services import DemoOptions, Services
from voting_infra.demo.stall import STALL_SECONDS, StallTimer
from voting_infra.demo.summary import PhaseClock, print_summary, summarize
from voting_infra.logs import new_log_directory, tail
from voting_infra.ports import free_ports
from voting_infra.processes import Child, describe_exit
from voting_infra.stack import open_stack
from voting_infra.supervisor import Supervisor

POLL_SECONDS = 0.5
# On its first run the stream records an archive when it ends, which takes some ten seconds.
STOP_SECONDS = 90.0


class ElectionFailed(VotingError):
    """The election could not be run to its end.

    Attributes:
        exit_code: That of the service that ended, if it was a setup error.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class _Election:
    """An election on a stack of its own, and the services that run it."""

    def __init__(
        self,
        options: DemoOptions,
        logs: Path,
        contexts: ExitStack,
        clock: PhaseClock,
        interrupts: Interrupts,
    ) -> None:
        self._parent = os.getppid()
        self._interrupts = interrupts
        with clock.phase("Kafka and PostgreSQL"):
            stack = contexts.enter_context(open_stack(log_dir=logs))
        with clock.phase("tables and topics"):
            self.kafka = KafkaSettings(stack.bootstrap_servers)
            self.admin = connect_admin(self.kafka)
            database = DatabaseSettings(SecretStr(stack.database_url))
            self.conn = contexts.enter_context(connect(database))
            set_up_election(self.kafka, self.admin, self.conn)
        # Of their own, so that the services end before what they work on.
        self._supervisor = contexts.enter_context(Supervisor(logs))
        services = Services(stack, self._supervisor.make_directory("demo"))
        self.report = services.report
        port = options.port or free_ports(1)[0]
        self.address = f"http://127.0.0.1:{port}"
        # Spark takes longest to start, so it comes first.
        self.stream = self._supervisor.start(services.stream())
        dashboard = self._supervisor.start(services.dashboard(port))
        consumer = self._supervisor.start(services.consumer())
        self.producer = self._supervisor.start(services.producer(options))
        self.children = (self.producer, consumer, self.stream, dashboard)
        with clock.phase("dashboard answers"):
            while not _answers(self.address):
                self.pause()

    def stop(self) -> None:
        """Stop the services in an orderly way."""
        self._supervisor.stop_all(self.children, STOP_SECONDS)

    def pause(self) -> None:
        """Wait half a second, then check the services and the parent process.

        Raises:
            ElectionFailed: A service has ended that should not have, or has failed.
            KeyboardInterrupt: The user asked to stop, or the parent process has ended.
        """
        time.sleep(POLL_SECONDS)
        self._interrupts.check()
        if os.getppid() != self._parent:
            raise KeyboardInterrupt
        for child in self.children:
            code = child.returncode
            if code is not None and not (child is self.producer and code == 0):
                raise _failure_of(child, code)

    def follow(self) -> Iterator[tuple[KafkaStatus, bool]]:
        """Yield the state of the count every half second, and whether it is complete.

        Raises:
            ElectionFailed: As `pause`, or nothing has changed for three minutes.
        """
        timer = StallTimer()
        while True:
            status, votes = kafka_status(self.kafka, self.admin), stored_votes(self.conn)
            in_flight = bool(status.in_flight_reasons(votes))
            sent = self.producer.returncode == 0
            yield status, sent and not in_flight
            # Once everything is sent, the demo must end in any case.
            if timer.is_stalled((status, votes, sent), in_flight=in_flight or sent):
                raise ElectionFailed(
                    f"nothing has changed for {STALL_SECONDS:.0f} s: {status.waiting:,} records "
                    f"wait, {status.tallied:,} votes are tallied; the services' logs are in "
                    f"{self.producer.log_path.parent}"
                )
            self.pause()


def _failure_of(child: Child, code: int) -> ElectionFailed:
    last_line = tail(child.log_path, 1) or "its log is empty"
    if code == SetupError.exit_code:
        return ElectionFailed(last_line, code)
    return ElectionFailed(
        f"{child.name} {describe_exit(code)}: {last_line} (its log is {child.log_path})"
    )


def run_election(options: DemoOptions, console: Console, interrupts: Interrupts) -> bool:
    """Run the election and show it.

    Args:
        options: What to run.
        console: Where to show progress.
        interrupts: How the user asks to stop.

    Returns:
        Whether all data stores agree on every figure.

    Raises:
        ElectionFailed: A service has ended early, or nothing changes any more.
        StackError: The stack does not come up.
        KeyboardInterrupt: The user, or the end of the parent process, asked to stop.
    """
    clock = PhaseClock(lambda line: console.print(line, highlight=False))
    logs = new_log_directory()
    console.print(f"Logs are in {logs}", soft_wrap=True, highlight=False)
    with ExitStack() as contexts:
        election = _Election(options, logs, contexts, clock, interrupts)
        console.print(f"The dashboard is at {election.address}", soft_wrap=True, highlight=False)
        if not options.headless and _has_desktop():
            webbrowser.open(election.address)
        with clock.phase("first votes counted"):
            for status, complete in election.follow():
                if status.tallied or complete:
                    break
        with clock.phase("all votes counted"):
            counted_at = _await_all_votes(election, console)
        if options.headless:
            # The services' peak memory is known only when they have ended.
            election.stop()
        with clock.phase("reconciled"):
            report = json.loads(election.report.read_text(encoding="utf-8"))
            found = reconcile(election.kafka, election.admin, election.conn)
        summary = summarize(report, found, seconds=counted_at - report["started_at"])
        summary["phases"] = clock.seconds
        # Of the stream this would be Python's share only; its work is done by its Java.
        summary["peak_memory_bytes"] = {
            c.name: c.peak_memory for c in election.children if c is not election.stream
        }
        if options.summary is not None:
            write_json(options.summary, summary)
        print_summary(summary, found, console)
        if not options.headless:
            try:
                console.print("The dashboard stays until Ctrl-C.")
                while True:
                    election.pause()
            except KeyboardInterrupt:
                election.stop()
        return bool(summary["reconciled"])


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
            return True
    except OSError:
        return False


def _has_desktop() -> bool:
    # Without one, webbrowser may take over the terminal with a text browser.
    return sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


def _await_all_votes(election: _Election, console: Console) -> float:
    """Wait for the last vote, and return when it was counted, in seconds since 1970."""
    with show_progress("counting", "votes", None, console) as progress:
        for status, complete in election.follow():
            progress.update(status.tallied, waiting=status.waiting)
            if complete:
                break
    return status.tallied_at or time.time()
