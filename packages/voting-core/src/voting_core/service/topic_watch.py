"""Checking now and then, while a service runs, that its topics are those of the election."""

import time
from collections.abc import Callable

from confluent_kafka import KafkaException

from voting_core.kafka.admin import is_unavailable
from voting_core.service.outage import OutageLog

CHECK_SECONDS = 3.0
"""Time between two checks."""


class TopicWatch:
    """Repeats a check of topics, which also shows whether Kafka answers."""

    def __init__(self, check: Callable[[], None], outage: OutageLog) -> None:
        """Prepare; the first check is due at once.

        Args:
            check: Raises TopicRecreatedError, or KafkaException in an outage.
            outage: Logs the outages of Kafka.
        """
        self._check = check
        self._outage = outage
        self._checked = -CHECK_SECONDS

    def check_if_due(self) -> bool:
        """Check the topics if the last check is long ago; return whether Kafka is available.

        Raises:
            TopicRecreatedError: A topic was recreated.
            KafkaException: An error that is not an outage.
        """
        now = time.monotonic()
        return self.check() if now - self._checked >= CHECK_SECONDS else not self._outage.is_out

    def check(self) -> bool:
        """Check the topics now, as `check_if_due`."""
        try:
            self._check()
        except KafkaException as error:
            if not is_unavailable(error):
                raise
            self._outage.failed(error)
        else:
            self._outage.recovered()
        self._checked = time.monotonic()
        return not self._outage.is_out
