"""The numbered migrations, each applied once, in order."""

import re
from importlib.resources import files

import attrs
import psycopg

from voting_core.exceptions import SchemaError

__all__ = ["Migration", "applied_version", "check_schema", "migrate", "migrations"]

# An arbitrary number that identifies the advisory lock.
_LOCK = 0x766F7465

_NAME = re.compile(r"(\d{4})_(\w+)\.sql")


@attrs.frozen
class Migration:
    """One schema change; the versions are consecutive, from 1."""

    version: int
    name: str
    sql: str = attrs.field(repr=False)


def migrations() -> tuple[Migration, ...]:
    """Return all migrations in order."""
    found = []
    for file in files(__name__).iterdir():
        if match := _NAME.fullmatch(file.name):
            found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda migration: migration.version))


def applied_version(conn: psycopg.Connection) -> int:
    """Return the version of the database's schema; 0 for an empty database."""
    row = conn.execute("SELECT to_regclass('schema_migrations') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        return 0
    row = conn.execute("SELECT coalesce(max(version), 0) FROM schema_migrations").fetchone()
    return int(row[0]) if row else 0


def migrate(conn: psycopg.Connection) -> list[Migration]:
    """Apply the missing migrations and return them."""
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        conn.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations ("
            " version integer PRIMARY KEY,"
            " name text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        done = applied_version(conn)
        new = [migration for migration in migrations() if migration.version > done]
        for migration in new:
            conn.execute(migration.sql.encode())
            conn.execute(
                "INSERT INTO schema_migrations (version, name) VALUES (%s, %s)",
                (migration.version, migration.name),
            )
    return new


def check_schema(conn: psycopg.Connection) -> None:
    """Check that the database has every migration.

    Raises:
        SchemaError: The schema is missing or older.
    """
    needed, found = migrations()[-1].version, applied_version(conn)
    if found < needed:
        state = f"is at version {found}" if found else "is empty"
        raise SchemaError(f"the database {state}, version {needed} is needed: run `voting init`")
