"""Settings of the consumer."""

import socket
from pathlib import Path

import attrs
import typed_settings as ts

from voting_core.service.health import HEARTBEAT_HELP
from voting_core.service.settings import (
    DatabaseSettings,
    DrawSettings,
    KafkaSettings,
    LogSettings,
    PollSettings,
)


@attrs.frozen
class ConsumerSettings:
    """Settings of `voting-consumer run`."""

    kafka: KafkaSettings = ts.option(factory=KafkaSettings)
    database: DatabaseSettings = ts.option(factory=DatabaseSettings)
    draw: DrawSettings = ts.option(factory=DrawSettings)
    polls: PollSettings = ts.option(factory=PollSettings)
    log: LogSettings = ts.option(factory=LogSettings)
    group: str = ts.option(
        default="voting-consumer",
        help="Kafka consumer group, the same for all consumers of the election.",
    )
    instance: str = ts.option(
        factory=socket.gethostname,
        help="Name of this instance: the same after a restart, and unique within the group; the "
        "host's name by default.",
    )
    batch_size: int = ts.option(
        default=5000, validator=attrs.validators.ge(1), help="Maximum number of records per batch."
    )
    session_timeout: float = ts.option(
        default=15.0,
        validator=attrs.validators.ge(1),
        help="Seconds without a heartbeat after which the group reassigns this consumer's "
        "partitions.",
    )
    until_idle: float | None = ts.option(
        default=None,
        validator=attrs.validators.optional(attrs.validators.gt(0)),
        help="Exit when no record has arrived for this many seconds; by default run until stopped.",
    )
    heartbeat: Path | None = ts.option(default=None, help=HEARTBEAT_HELP)

    @property
    def transactional_id(self) -> str:
        """The `transactional.id` of this instance."""
        return f"{self.group}-{self.instance}"
