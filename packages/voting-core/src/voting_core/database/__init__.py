"""PostgreSQL: connections, schema, and the queries that the services share."""

from voting_core.database.connection import connect, describe

__all__ = ["connect", "describe"]
