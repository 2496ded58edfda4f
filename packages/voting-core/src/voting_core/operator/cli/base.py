"""What the operator's commands share: their settings and connections."""

from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import psycopg
import typed_settings as ts
from confluent_kafka.admin import AdminClient

from voting_core.database import connect
from voting_core.kafka import connect_admin
from voting_core.service.logging import configure_logging
from voting_core.service.settings import DatabaseSettings, KafkaSettings, LogSettings

__all__ = ["COMMAND", "OperatorSettings", "TopicSettings", "connected"]

COMMAND = "voting"


@attrs.frozen
class OperatorSettings:
    """Where Kafka and PostgreSQL are."""

    kafka: KafkaSettings = ts.option(factory=KafkaSettings)
    database: DatabaseSettings = ts.option(factory=DatabaseSettings)
    log: LogSettings = ts.option(factory=LogSettings)


@attrs.frozen
class TopicSettings(OperatorSettings):
    """How topics are created."""

    partitions: int = ts.option(
        default=4,
        validator=attrs.validators.ge(1),
        help="Partitions of the log topics: as many consumers can share the work.",
    )
    replication: int = ts.option(
        default=-1, help="Copies of each topic; -1 for the broker's default."
    )
    min_insync_replicas: int = ts.option(
        default=-1,
        help="Copies that must have a record before it is acknowledged, such as 2 of 3; -1 for the "
        "broker's default.",
    )

    @min_insync_replicas.validator
    def _can_be_had(self, _: "attrs.Attribute[int]", value: int) -> None:
        if 0 < self.replication < value:
            raise ValueError(
                f"'min_insync_replicas' is {value}, of {self.replication} copies ('replication')"
            )


@contextmanager
def connected(
    settings: OperatorSettings,
) -> Iterator[tuple[AdminClient, psycopg.Connection]]:
    """Set logging up and connect to Kafka and PostgreSQL.

    Raises:
        UnreachableError: One of them does not answer.
    """
    configure_logging(settings.log, COMMAND)
    admin = connect_admin(settings.kafka)
    with connect(settings.database) as conn:
        yield admin, conn
