"""PostgreSQL: connections, schema, and the queries that the services share."""

from voting_core.database.connection import connect, describe
from voting_core.database.retry import RetryingConnection, RetryPolicy

__all__ = ["RetryPolicy", "RetryingConnection", "connect", "describe"]
