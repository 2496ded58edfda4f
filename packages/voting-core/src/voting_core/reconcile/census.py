"""The count of each place, taken by itself, when nothing is expected to move any more."""

import psycopg
from confluent_kafka.admin import AdminClient

from voting_core.census import Count, count_aggregates, count_postgres, count_votes_topic
from voting_core.settings import KafkaSettings

__all__ = ["take_census"]


def take_census(
    settings: KafkaSettings, admin: AdminClient, conn: psycopg.Connection
) -> dict[str, Count]:
    """Count PostgreSQL, `votes_topic` and the aggregates, each by itself."""
    return {
        "postgres": count_postgres(conn),
        "votes_topic": count_votes_topic(settings, admin, conn),
        "aggregates": count_aggregates(settings, admin),
    }
