"""The service: checks everything, then registers the voters and sends the ballots."""

import gc
import logging
from contextlib import ExitStack, closing

import structlog
from confluent_kafka.admin import AdminClient

from voting_core.election import Election
from voting_core.exceptions import ElectionError, InputError
from voting_core.kafka import check_topics, connect_admin
from voting_core.service.files import check_writable, write_json
from voting_core.service.health import Heartbeat
from voting_core.service.identity import check_rule_options, read_checked_election
from voting_core.service.logging import configure_logging
from voting_core.service.progress_bar import show_progress
from voting_core.service.signals import StopRequested, StopSignal
from voting_core.topics import VOTERS
from voting_producer.checked_producer import CheckedProducer
from voting_producer.pipeline import BallotProducer, VoterRegister, register_candidates, send_voters
from voting_producer.report import build_report
from voting_producer.settings import ProducerSettings
from voting_producer.shards import Shard
from voting_producer.sources import Source
from voting_producer.sources.random_user import RandomUserSource
from voting_producer.sources.random_user_api import RandomUserApi
from voting_producer.sources.results import ResultsSource
from voting_producer.sources.results_file import read_results
from voting_producer.sources.synthetic import SyntheticSource
from voting_producer.throttle import Throttle
from voting_producer.voter_register import PostgresVoterRegister

DEFAULT_VOTERS = 10_000
"""Ballots of a source that has no number of its own."""

log = structlog.get_logger()


def run(settings: ProducerSettings) -> int:
    """Register the voters of a source and send their ballots; return the exit code.

    The options, the source, Kafka and the database are checked before anything is written.

    Raises:
        VotingError: A check failed, or PostgreSQL or the API stayed unavailable.
        KafkaException: A ballot could not be delivered.
    """
    configure_logging(settings.log, "voting-producer")
    # The source logs its requests itself.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stop = StopSignal()
    with stop.handle(), ExitStack() as resources:
        try:
            with stop.interruptible():
                if settings.report is not None:
                    check_writable(settings.report, "report")
                source = resources.enter_context(closing(make_source(settings)))
                heartbeat = Heartbeat(settings.heartbeat)
                source.prepare()
                admin = connect_admin(settings.kafka)
                check_topics(admin, [VOTERS])
                election = _check_election(settings, admin)
        except StopRequested:
            log.warning("stopped before the first voter")
            return stop.exit_code
        register = PostgresVoterRegister(
            settings.database, election, should_stop=lambda: stop.requested
        )
        resources.enter_context(closing(register))
        ballots = CheckedProducer(settings.kafka, admin, election, lambda: stop.requested)
        return _send(settings, election, source, register, ballots, stop, heartbeat)


def make_source(settings: ProducerSettings) -> Source:
    """Return the source that the settings describe.

    Raises:
        InputError: The settings contradict each other, or the results file is unusable.
    """
    shard = Shard.parse(settings.slice)
    name = settings.source or ("results" if settings.results else "synthetic")
    if name == "results":
        if settings.results is None:
            raise InputError("--source results needs a file: --results FILE")
        if settings.voters is not None:
            log.warning("--voters is ignored: the results file gives the number of ballots")
        file = read_results(settings.results, year=settings.year, office=settings.office)
        return ResultsSource(file, settings.scale, shard)
    voters = DEFAULT_VOTERS if settings.voters is None else settings.voters
    if name == "synthetic":
        return SyntheticSource(settings.seed, voters, shard)
    api = RandomUserApi(settings.api_url, seed=settings.seed, nationalities=settings.nat)
    return RandomUserSource(api, voters, settings.page_size, shard)


def _check_election(settings: ProducerSettings, admin: AdminClient) -> Election:
    """Return the election, which must be a rehearsal.

    Raises:
        ElectionError: It is live, or Kafka and PostgreSQL belong to different elections.
        InputError: The draw of the settings is not that of the election.
    """
    election = read_checked_election(
        settings.kafka, settings.database, admin, application="voting-producer"
    )
    if election.is_live:
        raise ElectionError(
            f"election {election} is live, and this command invents voters and ballots: rehearse "
            "with another database and another Kafka cluster"
        )
    check_rule_options(election, settings.draw)
    return election


def _send(
    settings: ProducerSettings,
    election: Election,
    source: Source,
    register: VoterRegister,
    ballots: BallotProducer,
    stop: StopSignal,
    heartbeat: Heartbeat,
) -> int:
    totals = register_candidates(
        source,
        register,
        draw_seed=election.rules.draw_seed,
        weights=election.rules.draw_weights,
    )
    if not source.expected:
        log.warning("no ballots to send: the scale is too large, or there are too many slices")
    # Nothing that is loaded by now is garbage: without it, each collection is shorter.
    gc.freeze()
    log.info("started", ballots=source.expected, candidates=len(totals.candidates))
    with show_progress("sending", "ballots", source.expected) as progress:
        times = send_voters(
            source,
            register,
            ballots,
            totals,
            throttle=Throttle(settings.rate or None),
            stop=stop,
            progress=progress,
            heartbeat=heartbeat,
        )
    counts = {"registered": totals.registered, "sent": totals.sent, "skipped": source.skipped}
    if stop.requested:
        log.warning("stopped; the same command completes the election", **counts)
        return stop.exit_code
    seconds = times.finished_at - times.started_at
    log.info("finished", **counts, seconds=round(seconds, 1))
    if settings.report is not None:
        write_json(settings.report, build_report(totals, times, skipped=source.skipped))
    return 0
