"""The schema of the database: its migrations, and services that need it."""

from collections.abc import Iterator

import psycopg
import pytest
from typed_settings import SecretStr

from testkit.election import Election
from voting_core.database import connect
from voting_core.database.migrations import applied_version, check_schema, migrate, migrations
from voting_core.exceptions import SchemaError
from voting_core.service.settings import DatabaseSettings


@pytest.fixture
def empty_database(election: Election) -> Iterator[DatabaseSettings]:
    """A database without any table, as a PostgreSQL schema beside that of the election."""
    election.conn.execute("CREATE SCHEMA without_tables")
    url = str(election.database.url)
    url += f"{'&' if '?' in url else '?'}options=-c%20search_path%3Dwithout_tables"
    yield DatabaseSettings(SecretStr(url))
    election.conn.execute("DROP SCHEMA without_tables CASCADE")


@pytest.fixture
def conn(empty_database: DatabaseSettings) -> Iterator[psycopg.Connection]:
    """A connection to it."""
    with connect(empty_database) as conn:
        yield conn


def test_migrations_are_applied_once(conn: psycopg.Connection) -> None:
    """An empty database gets all of them in order; after that none is missing."""
    assert applied_version(conn) == 0
    assert migrate(conn) == list(migrations())
    assert applied_version(conn) == migrations()[-1].version
    check_schema(conn)
    assert migrate(conn) == []


def test_an_older_schema_is_refused(conn: psycopg.Connection) -> None:
    """The message has both versions and the command that migrates."""
    needed = migrations()[-1].version
    with pytest.raises(SchemaError, match=f"empty, version {needed} is needed: run `voting init`"):
        check_schema(conn)


def test_a_consumer_without_tables_exits(
    election: Election, empty_database: DatabaseSettings
) -> None:
    """Its exit code is that of an environment error."""
    done = election.run("voting-consumer", "run", f"--database-url={empty_database.url}")
    assert done.returncode == 2
    assert "run `voting init`" in done.stderr.splitlines()[-1]
