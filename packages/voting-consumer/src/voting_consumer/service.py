"""The service: everything that `voting-consumer run` puts together."""

import signal
import threading
from contextlib import closing
from types import FrameType

import structlog

from voting_consumer.decisions import Decider
from voting_consumer.loop import BallotConsumer
from voting_consumer.publisher import Publisher
from voting_consumer.settings import ConsumerSettings
from voting_core import topics
from voting_core.database import connect
from voting_core.database.migrations import check_schema
from voting_core.kafka import check_topics, connect_admin
from voting_core.service.logging import configure_logging

__all__ = ["serve"]

log = structlog.get_logger()


def serve(settings: ConsumerSettings) -> None:
    """Decide on ballots until SIGTERM or SIGINT, or until nothing has come for long enough.

    Raises:
        VotingError: What it needs is not there, or it cannot go on.
    """
    configure_logging(settings.log, "voting-consumer")
    stop = threading.Event()

    def request_stop(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, request_stop)
    admin = connect_admin(settings.kafka)
    check_topics(
        admin, (topics.VOTERS, topics.VOTES, topics.REJECTED_VOTES, topics.VOTING_PROGRESS)
    )
    with connect(settings.database) as conn:
        check_schema(conn)
    with closing(Decider(settings, stop.is_set)) as decider:
        publisher = Publisher(settings.kafka, settings.transactional_id)
        BallotConsumer(settings, admin, decider, publisher).run(stop.is_set)
    log.info("stopped")
