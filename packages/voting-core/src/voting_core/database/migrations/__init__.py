"""The numbered migrations, each applied once, in order."""

import re
from importlib.resources import files

import attrs
import psycopg

from voting_core.exceptions import SchemaError

__all__ = ["Migration", "applied_version", "check_schema", "migrate", "migrations"]

# An arbitrary number that identifies the advisory lock.
_LOCK = 0x766F7465

_TABLES = (
    "candidates",
    "voters",
    "votes",
    "rejections",
    "election",
    "incidents",
    "incident_resolutions",
)
_MIGRATION_COLUMNS = ["version", "name", "applied_at"]

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
    """Return the version of the database's schema; 0 for an empty database.

    Raises:
        SchemaError: The database has tables of another project with the names of ours.
    """
    row = conn.execute(
        "SELECT to_regclass('schema_migrations') IS NOT NULL, coalesce("
        " (SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute"
        "  WHERE attrelid = to_regclass('schema_migrations') AND attnum > 0"
        "  AND NOT attisdropped), '{}'),"
        " ARRAY(SELECT name FROM unnest(%s::text[]) name WHERE to_regclass(name) IS NOT NULL)",
        (list(_TABLES),),
    ).fetchone()
    has_migrations, columns, found = row or (False, [], [])
    if has_migrations and columns != _MIGRATION_COLUMNS:
        raise _foreign(["schema_migrations"])
    if not has_migrations:
        if found:
            raise _foreign(found)
        return 0
    row = conn.execute("SELECT coalesce(max(version), 0) FROM schema_migrations").fetchone()
    return int(row[0]) if row else 0


def _foreign(names: list[str]) -> SchemaError:
    return SchemaError(
        f"the database has tables of another program ({', '.join(names)})",
        "use a database of its own for the election",
    )


def migrate(conn: psycopg.Connection) -> list[Migration]:
    """Apply the missing migrations and return them.

    Raises:
        SchemaError: The database has tables of another project, or a newer schema.
    """
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        _check_not_newer(applied_version(conn))
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
        SchemaError: The schema is missing, older, newer, or that of another project.
    """
    needed, found = migrations()[-1].version, applied_version(conn)
    _check_not_newer(found)
    if found < needed:
        state = f"is at version {found}" if found else "is empty"
        raise SchemaError(f"the database {state}, version {needed} is needed", "run `voting init`")


def _check_not_newer(found: int) -> None:
    known = migrations()[-1].version
    if found > known:
        raise SchemaError(
            f"the database is at version {found}, and this program knows {known}",
            "update this program",
        )
