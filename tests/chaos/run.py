"""One run: start everything, inject the schedule's faults, drain, check the count, report."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import attrs
from confluent_kafka import KafkaException
from typed_settings import SecretStr

from chaos.faults import Faults
from chaos.load_generator import LoadGenerator
from chaos.results_files import write_results_files
from chaos.schedule import Event, make_schedule
from chaos.service_commands import Commands
from testkit.checker.evidence import gather_evidence
from testkit.checker.exactly_once import Verdict, check_exactly_once
from testkit.checker.kafka_topics import read_topic
from testkit.checker.results_file import plain_totals
from testkit.restart_policy import RestartPolicy, Restarts, Service
from testkit.waiting import becomes_true
from voting_core.database import connect
from voting_core.kafka import connect_admin
from voting_core.operator.setup import TopicLayout, set_up_election
from voting_core.service.files import write_json
from voting_core.service.settings import DatabaseSettings, KafkaSettings
from voting_infra import Stack, StackError, Supervisor, open_stack
from voting_infra.logs import new_log_directory

__all__ = ["ChaosOptions", "run_chaos"]

PARTITIONS = 4
KILLS_PER_FILE = 2
# About what an event takes with the wait before it; the load is spread over as long.
SECONDS_PER_KILL = 9.0
LOAD_SHARE = 0.8

# A broker that was killed recovers its logs first; on a busy machine that takes minutes.
SERVER_RESTART_SECONDS = 300.0
FIRST_TOTAL_SECONDS = 120.0
STALL_SECONDS = 150.0
POLL_SECONDS = 1.0


@attrs.frozen(kw_only=True)
class ChaosOptions:
    """What to run.

    Attributes:
        kills: Number of events that kill.
        seed: Decides the schedule and the votes.
        voters: Number of ballots, without those that are sent again.
        trigger: That of the stream.
        report: File for the report.
    """

    kills: int
    seed: str
    voters: int
    trigger: str
    report: Path | None


@attrs.frozen(kw_only=True)
class _Pipeline:
    stack: Stack
    files: list[Path]
    load_generator: LoadGenerator
    faults: Faults
    restarts: Restarts

    def check(self) -> Verdict:
        """Compare the content of the data stores with the results files.

        Raises:
            KafkaException: Kafka cannot be read now.
        """
        evidence = gather_evidence(self.stack.bootstrap_servers, self.stack.database_url)
        return check_exactly_once(evidence, plain_totals(self.files))


def run_chaos(options: ChaosOptions, print_line: Callable[[str], None]) -> bool:
    """Run the pipeline under load through a schedule of faults, and check the count.

    Args:
        options: What to run.
        print_line: Prints one line.

    Returns:
        Whether no ballot was lost and none counted twice.

    Raises:
        StackError: Something does not restart.
        KeyboardInterrupt: The user asked to stop.
    """
    began = time.monotonic()
    schedule = make_schedule(options.seed, options.kills)
    logs = new_log_directory()
    print_line(f"Logs are in {logs}")

    def log(line: str) -> None:
        print_line(f"{time.monotonic() - began:7.1f} s  {line}")

    with Supervisor(logs) as supervisor, ExitStack() as contexts:
        pipeline = _start(options, supervisor, contexts)
        _await_first_total(pipeline.stack)
        log(f"{len(schedule)} events begin")
        for number, event in enumerate(schedule):
            pipeline.load_generator.open_up_to(number / len(schedule))
            time.sleep(event.delay)
            log(f"{number + 1:3}: {event.kind}, duration {event.duration:.1f} s")
            pipeline.faults.inject(event)
        pipeline.load_generator.open_up_to(1.0)
        log("the schedule is done; waiting for the last ballot")
        sent = _await_sent(pipeline.load_generator)
        log("waiting for the last total")
        verdict = _await_verdict(pipeline, log)
        report = _report(options, schedule, verdict, pipeline.restarts)
        if not sent:
            report["problems"].append("the producer does not finish")
    report["seconds"] = round(time.monotonic() - began, 1)
    succeeded = not report["problems"]
    if not succeeded:
        report["logs"] = str(logs)
    if options.report is not None:
        write_json(options.report, report)
    print_line(json.dumps(report, indent=2, ensure_ascii=False))
    return succeeded


def _start(options: ChaosOptions, supervisor: Supervisor, contexts: ExitStack) -> _Pipeline:
    stack = contexts.enter_context(
        open_stack(supervisor=supervisor, timeout=SERVER_RESTART_SECONDS)
    )
    _set_up(stack)
    directory = supervisor.make_directory("chaos")
    count = max(2, options.kills // KILLS_PER_FILE)
    files = write_results_files(directory, voters=options.voters, count=count, seed=options.seed)
    rate = max(1.0, options.voters / (LOAD_SHARE * SECONDS_PER_KILL * options.kills))
    commands = Commands(stack, directory, trigger=options.trigger)
    restarts = Restarts((str(directory), str(supervisor.log_dir)))
    stream = Service(supervisor, commands.stream(), restarts)
    consumers = [Service(supervisor, commands.consumer(name), restarts) for name in ("a", "b")]
    for service in (stream, *consumers):
        service.start()
    restart_policy = RestartPolicy(supervisor, (stream, *consumers))
    contexts.callback(restart_policy.close)
    load_generator = LoadGenerator(
        supervisor,
        stack.bootstrap_servers,
        files,
        partial(commands.producer, rate=rate),
        restarts,
    )
    contexts.callback(load_generator.close)
    load_generator.open_up_to(0.0)
    faults = Faults(
        supervisor=supervisor,
        stack=stack,
        commands=commands,
        restart_policy=restart_policy,
        restarts=restarts,
        load_generator=load_generator,
        consumers=consumers,
        stream=stream,
    )
    return _Pipeline(
        stack=stack, files=files, load_generator=load_generator, faults=faults, restarts=restarts
    )


def _set_up(stack: Stack) -> None:
    kafka = KafkaSettings(stack.bootstrap_servers)
    with connect(DatabaseSettings(SecretStr(stack.database_url))) as conn:
        set_up_election(
            kafka, connect_admin(kafka), conn, layout=TopicLayout(partitions=PARTITIONS)
        )


def _await_first_total(stack: Stack) -> None:
    """Wait until the whole pipeline works.

    Raises:
        StackError: It does not within two minutes.
    """
    if not becomes_true(
        lambda: bool(read_topic(stack.bootstrap_servers, "aggregated_progress")),
        FIRST_TOTAL_SECONDS,
        interval=POLL_SECONDS,
    ):
        raise StackError(f"no vote was counted; the logs are in {stack.log_dir}")


def _await_sent(load_generator: LoadGenerator) -> bool:
    """Wait until all files are sent; return whether they are before the producer stalls."""
    while not load_generator.finished:
        if time.monotonic() - load_generator.last_exit > STALL_SECONDS:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _await_verdict(pipeline: _Pipeline, log: Callable[[str], None]) -> Verdict:
    """Check until the count is clean, or the verdict has not changed for some minutes.

    Raises:
        StackError: Kafka cannot be read for as long.
    """
    last: Verdict | None = None
    changed = time.monotonic()
    while time.monotonic() - changed <= STALL_SECONDS:
        try:
            verdict = pipeline.check()
        except KafkaException as error:
            log(f"Kafka cannot be read yet: {error.args[0].str()}")
        else:
            if verdict.clean:
                return verdict
            if verdict != last:
                last, changed = verdict, time.monotonic()
                log(f"not yet: read {verdict.read}, accepted {verdict.accepted}, {verdict.lost}")
        time.sleep(POLL_SECONDS)
    if last is None:
        raise StackError(f"Kafka cannot be read; the logs are in {pipeline.stack.log_dir}")
    return last


def _report(
    options: ChaosOptions, schedule: list[Event], verdict: Verdict, restarts: Restarts
) -> dict[str, Any]:
    return {
        "seed": options.seed,
        "voters": options.voters,
        "trigger": options.trigger,
        "kills": _count_by_kind(event for event in schedule if event.kills),
        "pauses": _count_by_kind(event for event in schedule if not event.kills),
        **verdict.as_json(),
        "restarts": restarts.rows(),
    }


def _count_by_kind(events: Iterable[Event]) -> dict[str, int]:
    counts = Counter(str(event.kind) for event in events)
    return {"all": counts.total(), **dict(sorted(counts.items()))}
