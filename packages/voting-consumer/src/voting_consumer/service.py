"""The service: checks the election, builds its parts, runs the loop and closes them."""

import gc
from contextlib import closing
from threading import Event

import structlog

from voting_consumer.decisions import Decider
from voting_consumer.loop import BallotConsumer
from voting_consumer.publisher import Publisher, TransactionAborted
from voting_consumer.settings import ConsumerSettings
from voting_consumer.topic_guard import TopicGuard
from voting_core import topics
from voting_core.exceptions import one_line
from voting_core.kafka import check_topics, connect_admin
from voting_core.service.identity import check_rule_options, read_checked_election
from voting_core.service.logging import configure_logging
from voting_core.service.signals import StopSignal

log = structlog.get_logger()


def run(settings: ConsumerSettings) -> None:
    """Decide on ballots until SIGTERM or SIGINT, or until the consumer has been idle long enough.

    Raises:
        VotingError: Kafka, PostgreSQL or their contents are not as needed, or the loop must end.
    """
    configure_logging(settings.log, "voting-consumer")
    stop = StopSignal()
    with stop.handle():
        admin = connect_admin(settings.kafka)
        check_topics(
            admin, (topics.VOTERS, topics.VOTES, topics.REJECTED_VOTES, topics.VOTING_PROGRESS)
        )
        election = read_checked_election(
            settings.kafka, settings.database, admin, application="voting-consumer"
        )
        check_rule_options(election, settings.draw, settings.polls)

        abandoned = Event()

        def should_stop() -> bool:
            return stop.requested

        def should_give_up() -> bool:
            return stop.requested or abandoned.is_set()

        guard = TopicGuard(admin, election)
        decider = Decider(settings.database, election, settings.group, should_give_up)
        with closing(decider):
            try:
                publisher = Publisher(
                    settings.kafka, settings.transactional_id, guard, should_give_up
                )
            except TransactionAborted as error:
                if not stop.requested:
                    raise
                log.info("stopped in an outage", error=one_line(error))
                return
            loop = BallotConsumer(
                settings, admin, election, guard, decider, publisher, should_stop, abandoned
            )
            with closing(loop) as consumer:
                # What exists by now stays until the end: the collector need not look at it again.
                gc.freeze()
                consumer.run()
    log.info("stopped")
