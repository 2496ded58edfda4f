"""The service: builds its parts, runs the loop and closes them."""

from contextlib import closing

import structlog

from voting_consumer.decisions import Decider
from voting_consumer.loop import BallotConsumer
from voting_consumer.publisher import Publisher
from voting_consumer.settings import ConsumerSettings
from voting_core import topics
from voting_core.kafka import check_topics, connect_admin
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
        with closing(Decider(settings, lambda: stop.requested)) as decider:
            publisher = Publisher(settings.kafka, settings.transactional_id)
            with closing(BallotConsumer(settings, admin, decider, publisher)) as consumer:
                consumer.run(lambda: stop.requested)
    log.info("stopped")
