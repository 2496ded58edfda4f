"""Another database on the server of an election."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from typed_settings import SecretStr

from voting_core.service.settings import DatabaseSettings

__all__ = ["created_database"]

NAME = "other_database"


@contextmanager
def created_database(
    conn: psycopg.Connection, beside: DatabaseSettings, options: str = ""
) -> Iterator[DatabaseSettings]:
    """Create an empty database for the duration of a context.

    Args:
        conn: To the database beside it.
        beside: The address of that one.
        options: Of CREATE DATABASE, such as the encoding.
    """
    conn.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)".encode())
    conn.execute(f"CREATE DATABASE {NAME} {options} TEMPLATE template0".encode())
    try:
        yield DatabaseSettings(SecretStr(f"{str(beside.url).rpartition('/')[0]}/{NAME}"))
    finally:
        conn.execute(f"DROP DATABASE {NAME} WITH (FORCE)".encode())
