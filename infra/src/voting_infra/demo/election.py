"""Running the election: stack up, services on, everything counted, everything compared."""

import json
import os
import sys
import time
import urllib.request
import webbrowser
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import psycopg
from confluent_kafka.admin import AdminClient
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from typed_settings import SecretStr

from voting_core.database import connect
from voting_core.exceptions import SetupError, VotingError
from voting_core.kafka import connect_admin
from voting_core.operator.reconcile import Reconciliation, reconcile
from voting_core.operator.setup import set_up_election
from voting_core.operator.status import KafkaStatus, kafka_status
from voting_core.service.settings import DatabaseSettings, KafkaSettings
from voting_infra.child import Child, describe_exit
from voting_infra.demo.options import DemoOptions
from voting_infra.demo.phases import PhaseClock
from voting_infra.demo.service_commands import Services
from voting_infra.demo.summary import summarize, summary_table, write_summary
from voting_infra.logs import new_log_directory
from voting_infra.ports import free_ports
from voting_infra.stack import open_stack
from voting_infra.supervisor import Supervisor

__all__ = ["ElectionFailed", "run_election"]

POLL_SECONDS = 0.5
REPORT_SECONDS = 5.0
STALL_SECONDS = 180.0
# On its first run the stream records an archive when it ends, which takes some ten seconds.
STOP_SECONDS = 90.0
SETUP_EXIT_CODE = SetupError.exit_code


class ElectionFailed(VotingError):
    """The election could not be run to its end.

    Attributes:
        exit_code: That of the service that ended, where it said that something is to be mended.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@attrs.frozen(kw_only=True)
class _Election:
    """Connections to the stack, and the services on it."""

    supervisor: Supervisor
    kafka: KafkaSettings
    admin: AdminClient
    conn: psycopg.Connection
    report: Path
    address: str
    producer: Child
    consumer: Child
    stream: Child
    dashboard: Child
    parent: int = attrs.field(factory=os.getppid)

    @property
    def children(self) -> tuple[Child, ...]:
        """All services."""
        return (self.producer, self.consumer, self.stream, self.dashboard)

    def flow(self) -> KafkaStatus:
        """Return how far the count is."""
        return kafka_status(self.kafka, self.admin)

    def votes(self) -> int:
        """Return how many votes the database holds."""
        row = self.conn.execute("SELECT count(*) FROM votes").fetchone()
        return int(row[0]) if row else 0

    def stop(self) -> None:
        """End the services in good order."""
        self.supervisor.stop_all(self.children, STOP_SECONDS)

    def pause(self, seconds: float) -> None:
        """Wait before looking again, and see that every service is well.

        Raises:
            ElectionFailed: One has ended that should not have, or has failed.
            KeyboardInterrupt: The parent process has gone.
        """
        time.sleep(seconds)
        if os.getppid() != self.parent:
            raise KeyboardInterrupt
        for child in self.children:
            code = child.returncode
            if code is not None and not (child is self.producer and code == 0):
                raise _failure_of(child)


def _failure_of(child: Child) -> ElectionFailed:
    said = child.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
    last = said[-1] if said else "without a word"
    code = child.returncode if child.returncode == SETUP_EXIT_CODE else 1
    if code == SETUP_EXIT_CODE:
        return ElectionFailed(last, code)
    how = describe_exit(child.returncode or 0)
    return ElectionFailed(f"{child.name} {how}: {last} (its log is {child.log_path})", code)


def run_election(options: DemoOptions, console: Console) -> bool:
    """Run the election and show it.

    Args:
        options: What to run.
        console: Where to show progress.

    Returns:
        Whether every place agrees on every figure.

    Raises:
        ElectionFailed: A service has ended early, or nothing moves any more.
        StackError: The stack does not come up.
        KeyboardInterrupt: The user, or the end of the parent process, asked to stop.
    """
    clock = PhaseClock(lambda line: console.print(line, highlight=False))
    logs = new_log_directory()
    console.print(f"Logs are in {logs}", soft_wrap=True, highlight=False)
    with ExitStack() as contexts:
        election = _start(options, logs, contexts, clock)
        console.print(f"The dashboard is at {election.address}", soft_wrap=True, highlight=False)
        if not options.headless and _has_desktop():
            webbrowser.open(election.address)
        with clock.phase("first votes counted"):
            _await_first_votes(election)
        with clock.phase("all votes counted"):
            counted_at = _await_all_votes(election, console)
        if options.headless:
            # What the services hold at most is known only when they have ended.
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
            write_summary(summary, options.summary)
        _tell(summary, found, console)
        if not options.headless:
            try:
                console.print("The dashboard stays until Ctrl-C.")
                while True:
                    election.pause(POLL_SECONDS)
            except KeyboardInterrupt:
                election.stop()
        return bool(summary["reconciled"])


def _start(options: DemoOptions, logs: Path, contexts: ExitStack, clock: PhaseClock) -> _Election:
    with clock.phase("Kafka and PostgreSQL"):
        stack = contexts.enter_context(open_stack(log_dir=logs))
    with clock.phase("tables and topics"):
        kafka = KafkaSettings(stack.bootstrap_servers)
        admin = connect_admin(kafka)
        conn = contexts.enter_context(connect(DatabaseSettings(SecretStr(stack.database_url))))
        set_up_election(admin, conn)
    # Of their own, so that the services end before what they work on.
    supervisor = contexts.enter_context(Supervisor(logs))
    services = Services(stack, supervisor.make_directory("demo"))
    port = options.port or free_ports(1)[0]
    # Spark takes longest to start, so it comes first.
    stream = supervisor.start(services.stream())
    dashboard = supervisor.start(services.dashboard(port))
    consumer = supervisor.start(services.consumer())
    producer = supervisor.start(services.producer(options))
    election = _Election(
        supervisor=supervisor,
        kafka=kafka,
        admin=admin,
        conn=conn,
        report=services.report,
        address=f"http://127.0.0.1:{port}",
        producer=producer,
        consumer=consumer,
        stream=stream,
        dashboard=dashboard,
    )
    with clock.phase("dashboard answers"):
        while not _answers(election.address):
            election.pause(POLL_SECONDS)
    return election


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


def _await_first_votes(election: _Election) -> None:
    watch = _StallWatch(election)
    while not (flow := election.flow()).tallied:
        if election.producer.returncode == 0 and not flow.waiting and not election.votes():
            return
        watch.see(flow)
        election.pause(POLL_SECONDS)


def _await_all_votes(election: _Election, console: Console) -> float:
    """Wait for the last vote, and return when it was counted, in seconds since 1970."""
    watch = _StallWatch(election)
    columns = (
        TextColumn("counting"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} tallied"),
        TextColumn("{task.fields[waiting]:,.0f} waiting"),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("counting", total=None, waiting=0)
        told = time.monotonic()
        while True:
            flow = election.flow()
            progress.update(task, completed=flow.tallied, waiting=flow.waiting)
            if not console.is_terminal and time.monotonic() - told > REPORT_SECONDS:
                console.print(f"{flow.tallied:,} tallied, {flow.waiting:,} waiting")
                told = time.monotonic()
            done = election.producer.returncode == 0 and not flow.waiting
            if done and flow.tallied == election.votes():
                return flow.tallied_at or time.time()
            watch.see(flow)
            election.pause(POLL_SECONDS)


class _StallWatch:
    """Notices that nothing moves any more."""

    def __init__(self, election: _Election) -> None:
        self._election = election
        self._last: object = None
        self._moved = time.monotonic()

    def see(self, flow: KafkaStatus) -> None:
        now = (flow, self._election.producer.returncode)
        if now != self._last:
            self._last, self._moved = now, time.monotonic()
        elif time.monotonic() - self._moved > STALL_SECONDS:
            raise ElectionFailed(
                f"nothing has moved for {STALL_SECONDS:.0f} s: {flow.waiting:,} records wait, "
                f"{flow.tallied:,} votes are tallied; the services' logs are in "
                f"{self._election.producer.log_path.parent}"
            )


def _tell(summary: dict[str, Any], found: Reconciliation, console: Console) -> None:
    console.print(summary_table(summary))
    for name, size in summary["peak_memory_bytes"].items():
        console.print(f"{name:<28}{(size or 0) / 2**20:>8.0f} MiB at most", highlight=False)
    rejected = sum(summary["postgres"]["rejected"].values())
    console.print(
        f"{summary['postgres']['votes']:,} votes and {rejected:,} rejections in "
        f"{summary['seconds']:,.1f} s, {summary['votes_per_second']:,.0f} votes/s",
        highlight=False,
    )
    if summary["reconciled"]:
        console.print("[green]Every place agrees on every total.[/green]")
    else:
        console.print(found.tables())
        console.print(found.line(), markup=False, highlight=False)
        console.print("[red]The places disagree; `--summary FILE` keeps every total.[/red]")
