"""One run: everything up, the schedule, the drain, the verdict, the report."""

import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import attrs
from confluent_kafka import KafkaException
from typed_settings import SecretStr

from chaos.evidence import gather, read_topic
from chaos.faults import Faults
from chaos.load_generator import LoadGenerator
from chaos.restart_policy import RestartPolicy, Restarts, Service
from chaos.schedule import Event, make_schedule
from chaos.service_commands import Commands
from chaos.source import write_slices
from chaos.verdict import Verdict, judge
from voting_core.database import connect
from voting_core.kafka import connect_admin
from voting_core.operator.setup import set_up_election
from voting_core.service.settings import DatabaseSettings, KafkaSettings
from voting_infra.exceptions import StackError
from voting_infra.logs import new_log_directory
from voting_infra.stack import Stack, open_stack
from voting_infra.supervisor import Supervisor

__all__ = ["ChaosOptions", "run_chaos"]

PARTITIONS = 4
KILLS_PER_SLICE = 2
# About what an event takes with the wait before it; the load is spread over as long.
SECONDS_PER_KILL = 9.0
LOAD_SHARE = 0.8

# A broker that was killed goes through its logs first; on a busy machine that takes minutes.
SERVER_RESTART_SECONDS = 300.0
FIRST_VOTES_SECONDS = 120.0
STALL_SECONDS = 150.0
POLL_SECONDS = 1.0


@attrs.frozen(kw_only=True)
class ChaosOptions:
    """What to run.

    Attributes:
        kills: Number of events that kill.
        seed: Decides the schedule and the votes.
        voters: Number of ballots, without those that are sent again.
        report: File for the report.
    """

    kills: int
    seed: str
    voters: int
    report: Path | None


@attrs.frozen(kw_only=True)
class _Pipeline:
    """What is running."""

    stack: Stack
    slices: list[Path]
    load_generator: LoadGenerator
    faults: Faults
    restarts: Restarts


def run_chaos(options: ChaosOptions, tell: Callable[[str], None]) -> bool:
    """Run the pipeline under load through a schedule of faults, and look at what is left.

    Args:
        options: What to run.
        tell: Shows one line.

    Returns:
        Whether nothing was lost and nothing counted twice.

    Raises:
        StackError: Something does not come up again.
        KeyboardInterrupt: The user asked to stop.
    """
    began = time.monotonic()
    schedule = make_schedule(options.seed, options.kills)
    logs = new_log_directory()
    tell(f"Logs are in {logs}")
    with Supervisor(logs) as supervisor, ExitStack() as contexts:
        pipeline = _start(options, supervisor, contexts)
        _await_first_total(pipeline.stack)

        def say(line: str) -> None:
            tell(f"{time.monotonic() - began:7.1f} s  {line}")

        say(f"{len(schedule)} events begin")
        for number, event in enumerate(schedule):
            pipeline.load_generator.open_up_to(number / len(schedule))
            time.sleep(event.delay)
            say(f"{number + 1:3}: {event.kind}, duration {event.duration:.1f} s")
            pipeline.faults.inject(event)
        pipeline.load_generator.open_up_to(1.0)
        say("the schedule is done; waiting for the last ballot")
        sent = _await_sent(pipeline.load_generator)
        say("waiting for the last total")
        verdict = _await_verdict(pipeline, say)
        report = _report(options, schedule, verdict, pipeline.restarts)
        if not sent:
            report["problems"].append("the producer does not come to an end")
    report["seconds"] = round(time.monotonic() - began, 1)
    succeeded = not report["problems"]
    if not succeeded:
        report["logs"] = str(logs)
    if options.report is not None:
        _write(report, options.report)
    tell(json.dumps(report, indent=2, ensure_ascii=False))
    return succeeded


def _start(options: ChaosOptions, supervisor: Supervisor, contexts: ExitStack) -> _Pipeline:
    stack = contexts.enter_context(
        open_stack(supervisor=supervisor, timeout=SERVER_RESTART_SECONDS)
    )
    _set_up(stack)
    directory = supervisor.make_directory("chaos")
    count = max(2, options.kills // KILLS_PER_SLICE)
    slices = write_slices(directory, voters=options.voters, slices=count, seed=options.seed)
    rate = max(1.0, options.voters / (LOAD_SHARE * SECONDS_PER_KILL * options.kills))
    commands = Commands(stack, directory)
    restarts = Restarts((str(directory), str(supervisor.log_dir)))
    stream = Service(supervisor, commands.stream(), restarts)
    consumers = [Service(supervisor, commands.consumer(name), restarts) for name in ("a", "b")]
    for service in (stream, *consumers):
        service.start()
    restart_policy = RestartPolicy(supervisor, (stream, *consumers))
    contexts.callback(restart_policy.close)
    load_generator = LoadGenerator(
        supervisor, slices, partial(commands.producer, rate=rate), restarts
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
        stack=stack, slices=slices, load_generator=load_generator, faults=faults, restarts=restarts
    )


def _set_up(stack: Stack) -> None:
    admin = connect_admin(KafkaSettings(stack.bootstrap_servers))
    with connect(DatabaseSettings(SecretStr(stack.database_url))) as conn:
        set_up_election(admin, conn, partitions=PARTITIONS)


def _await_first_total(stack: Stack) -> None:
    """Wait until the whole pipeline works for the first time.

    Raises:
        StackError: It does not within two minutes.
    """
    deadline = time.monotonic() + FIRST_VOTES_SECONDS
    while not read_topic(stack.bootstrap_servers, "aggregated_progress", lambda _: None):
        if time.monotonic() > deadline:
            raise StackError(f"no vote was counted; the logs are in {stack.log_dir}")
        time.sleep(POLL_SECONDS)


def _await_sent(load_generator: LoadGenerator) -> bool:
    """Wait for the producer to send all slices; tell whether it does."""
    while not load_generator.finished:
        if time.monotonic() - load_generator.moved > STALL_SECONDS:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _await_verdict(pipeline: _Pipeline, say: Callable[[str], None]) -> Verdict:
    """Look until all is well, or nothing has changed for some minutes."""
    last: Verdict | None = None
    changed = time.monotonic()
    while True:
        verdict = last
        try:
            verdict = judge(
                gather(
                    pipeline.stack.bootstrap_servers, pipeline.stack.database_url, pipeline.slices
                )
            )
        except KafkaException as error:
            say(f"cannot look yet: {error.args[0].str()}")
        if verdict is not None:
            if verdict.clean:
                return verdict
            if verdict != last:
                last, changed = verdict, time.monotonic()
                say(f"not yet: read {verdict.read}, accepted {verdict.accepted}, {verdict.lost}")
        if time.monotonic() - changed > STALL_SECONDS:
            if last is None:
                raise StackError(f"Kafka cannot be read; the logs are in {pipeline.stack.log_dir}")
            return last
        time.sleep(POLL_SECONDS)


def _report(
    options: ChaosOptions, schedule: list[Event], verdict: Verdict, restarts: Restarts
) -> dict[str, Any]:
    return {
        "seed": options.seed,
        "voters": options.voters,
        "kills": _by_kind(event for event in schedule if event.kills),
        "pauses": _by_kind(event for event in schedule if not event.kills),
        **verdict.as_json(),
        "restarts": restarts.rows(),
    }


def _by_kind(events: Any) -> dict[str, int]:
    counts = Counter(str(event.kind) for event in events)
    return {"all": counts.total(), **dict(sorted(counts.items()))}


def _write(report: dict[str, Any], path: Path) -> None:
    partial_path = path.with_name(f"{path.name}.part")
    partial_path.write_text(
        json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    partial_path.replace(path)
