"""Starting and stopping the service."""

import signal
import threading
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from voting_consumer import service
from voting_consumer.settings import ConsumerSettings
from voting_core.election import Election
from voting_core.service.settings import KafkaSettings

ELECTION = Election(
    election_id="one",
    began_at=datetime(2026, 11, 3, tzinfo=UTC),
    topic_ids={"voters_topic": "T", "votes_topic": "V", "rejected_votes_topic": "R"},
)


class FakeDecider:
    """Connects to no database."""

    def __init__(self, *_: object) -> None:
        self.closed = False

    def close(self) -> None:
        """Do nothing."""


def test_a_stop_ends_the_start_in_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka is away after the checks, and the transactional producer waits for it."""
    monkeypatch.setattr(service, "configure_logging", lambda *_: None)
    monkeypatch.setattr(service, "connect_admin", lambda _: None)
    monkeypatch.setattr(service, "check_topics", lambda *_: None)
    monkeypatch.setattr(service, "read_checked_election", lambda *_, **__: ELECTION)
    monkeypatch.setattr(service, "Decider", FakeDecider)
    stop = threading.Timer(0.5, signal.raise_signal, (signal.SIGTERM,))
    stop.start()
    with capture_logs() as logs:
        service.run(ConsumerSettings(KafkaSettings("127.0.0.1:1")))
    stop.join()
    assert logs[-1]["event"] == "stopped in an outage"
    assert logs[-1]["error"]
