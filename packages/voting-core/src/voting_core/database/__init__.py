"""PostgreSQL: connections that are renewed, migrations, and the services' shared queries.

The queries are in `voter_register` and `decisions`, the schema is in `migrations`.
"""

from voting_core.database.connection import check_direct, connect, describe, repeatable_read
from voting_core.database.migrations import applied_version, check_schema, migrate
from voting_core.database.retry import RetryingConnection, RetryPolicy

__all__ = [
    "RetryPolicy",
    "RetryingConnection",
    "applied_version",
    "check_direct",
    "check_schema",
    "connect",
    "describe",
    "migrate",
    "repeatable_read",
]
