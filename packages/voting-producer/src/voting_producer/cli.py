"""The command `voting-producer`."""

import logging
from contextlib import closing
from typing import NoReturn

import click
import stamina.instrumentation
import structlog

from voting_core.exceptions import InputError
from voting_core.kafka import ReliableProducer, check_topics, connect_admin
from voting_core.service.cli import run_command
from voting_core.service.health import Heartbeat
from voting_core.service.logging import configure_logging
from voting_core.service.settings import settings_options
from voting_core.topics import VOTERS
from voting_producer.pacing import Pace
from voting_producer.pipeline import prepare_tally, send_voters
from voting_producer.progress import show_progress
from voting_producer.register import PostgresRegister
from voting_producer.report import build_report, check_report_path, write_report
from voting_producer.settings import ProducerSettings
from voting_producer.slices import Slice
from voting_producer.sources import Source
from voting_producer.sources.random_user import RandomUserSource
from voting_producer.sources.random_user_api import RandomUserApi
from voting_producer.sources.results import ResultsSource
from voting_producer.sources.results_file import read_results
from voting_producer.sources.synthetic import SyntheticSource
from voting_producer.stopping import Stop, Stopped

__all__ = ["main", "make_source", "produce"]

DEFAULT_VOTERS = 10_000

_log = structlog.get_logger()


def make_source(settings: ProducerSettings) -> Source:
    """Return the source that the settings describe.

    Raises:
        InputError: They contradict each other, or the results file cannot be used.
    """
    part = Slice.parse(settings.slice)
    name = settings.source or ("results" if settings.results else "synthetic")
    if name == "results":
        if settings.results is None:
            raise InputError("--source results needs a file: --results FILE")
        if settings.voters is not None:
            _log.warning("--voters is not used: the results file decides how many vote")
        file = read_results(settings.results, year=settings.year, office=settings.office)
        return ResultsSource(file, settings.scale, part)
    voters = DEFAULT_VOTERS if settings.voters is None else settings.voters
    if name == "synthetic":
        return SyntheticSource(settings.seed, voters, part)
    api = RandomUserApi(settings.api_url, seed=settings.seed, nationalities=settings.nat)
    return RandomUserSource(api, voters, settings.page_size, part)


def produce(settings: ProducerSettings) -> int:
    """Register and send the voters of a source; return the exit code.

    Everything that can be checked beforehand is: the options, the source, Kafka, the database.
    Only then anything is written.
    """
    stop = Stop()
    with stop.on_signals():
        try:
            with stop.interruptible():
                if settings.report is not None:
                    check_report_path(settings.report)
                source = make_source(settings)
        except Stopped:
            return stop.exit_code
        with closing(source):
            try:
                return _produce(settings, source, stop)
            except Stopped:
                _log.warning("stopped before the first voter")
                return stop.exit_code


def _produce(settings: ProducerSettings, source: Source, stop: Stop) -> int:
    heartbeat = Heartbeat(settings.heartbeat)
    with stop.interruptible():
        source.prepare()
        check_topics(connect_admin(settings.kafka), [VOTERS])
    with closing(
        PostgresRegister(settings.database, should_stop=lambda: stop.requested)
    ) as register:
        tally = prepare_tally(
            source, register, draw_seed=settings.draw.seed, weights=settings.draw.weights
        )
        if not source.expected:
            _log.warning("nobody to send: the scale is too large, or there are too many slices")
        _log.info("started", ballots=source.expected, candidates=len(tally.candidates))
        with show_progress(source.expected, heartbeat) as progress:
            times = send_voters(
                source,
                register,
                ReliableProducer(settings.kafka),
                tally,
                pace=Pace(settings.rate or None),
                stop=stop,
                progress=progress,
            )
    counts = {"registered": tally.registered, "sent": tally.sent, "skipped": source.skipped}
    if stop.requested:
        _log.warning("stopped; the same command completes the election", **counts)
        return stop.exit_code
    seconds = times.finished_at - times.started_at
    _log.info("finished", **counts, seconds=round(seconds, 1))
    if settings.report is not None:
        report = build_report(
            tally,
            skipped=source.skipped,
            started_at=times.started_at,
            finished_at=times.finished_at,
        )
        write_report(settings.report, report)
    return 0


@click.group(name="voting-producer")
@click.version_option(package_name="voting-producer")
def _group() -> None:
    """Register candidates and voters, and send their ballots to Kafka."""


@_group.command()
@settings_options(ProducerSettings, "voting-producer")
def run(settings: ProducerSettings) -> int:
    """Send the voters of a source, register them before, and end."""
    configure_logging(settings.log, "voting-producer")
    # Both would repeat in their own words what is logged here already.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stamina.instrumentation.set_on_retry_hooks(())
    return produce(settings)


def main() -> NoReturn:
    """Run `voting-producer`."""
    run_command(_group)
