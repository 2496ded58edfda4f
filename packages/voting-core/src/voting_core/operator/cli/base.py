"""The settings and connections of the operator's commands."""

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

COMMAND = "voting"


@attrs.frozen
class OperatorSettings:
    """How to connect to Kafka and PostgreSQL."""

    kafka: KafkaSettings = ts.option(factory=KafkaSettings)
    database: DatabaseSettings = ts.option(factory=DatabaseSettings)
    log: LogSettings = ts.option(factory=LogSettings)


@contextmanager
def connected(settings: OperatorSettings) -> Iterator[tuple[AdminClient, psycopg.Connection]]:
    """Configure logging and connect to Kafka and PostgreSQL.

    Raises:
        UnreachableError: Kafka or PostgreSQL is unreachable.
    """
    configure_logging(settings.log, COMMAND)
    admin = connect_admin(settings.kafka)
    with connect(settings.database) as conn:
        yield admin, conn
