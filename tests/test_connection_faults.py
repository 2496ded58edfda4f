"""Databases and poolers that are not as the election needs them."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import attrs
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from typed_settings import SecretStr

from testkit.election import Election
from testkit.other_database import created_database
from testkit.sample_ballots import assert_counted, send_sample_ballots
from testkit.waiting import eventually
from voting_core.database import check_direct, connect
from voting_core.exceptions import InputError, UnreachableError
from voting_core.service.settings import DatabaseSettings
from voting_infra import Command
from voting_infra.ports import free_ports
from voting_infra.postgres import postgres_account


@pytest.fixture
def other_database(election: Election) -> Iterator[Callable[..., Election]]:
    """Creates another database, with options of CREATE DATABASE, and returns it."""
    with ExitStack() as databases:

        def create(options: str = "", *statements: str) -> Election:
            database = databases.enter_context(
                created_database(election.conn, election.database, options)
            )
            with psycopg.connect(str(database.url), autocommit=True) as conn:
                for statement in statements:
                    conn.execute(statement.encode())
            return attrs.evolve(election, database=database)

        yield create


def refusal(election: Election, *command: str) -> str:
    """Return the one line with which a command refuses, with exit code 2."""
    done = election.run(*command)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    return line


COMMANDS = [("voting", "init"), ("voting", "status"), ("voting-consumer", "run")]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "WIN1250"])
def test_a_database_that_is_not_utf8_is_refused(
    other_database: Callable[..., Election], encoding: str, command: tuple[str, ...]
) -> None:
    """On every connection; names that it cannot store would fail during the count."""
    election = other_database(f"ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C'")
    assert f"encoded in {encoding}" in refusal(election, *command)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE TABLE candidates (candidate_id text PRIMARY KEY)", "candidates"),
        ("CREATE TABLE incidents (id int)", "incidents"),
        ("CREATE VIEW votes AS SELECT 1 AS voter_id", "votes"),
        ("CREATE TABLE schema_migrations (version varchar PRIMARY KEY)", "schema_migrations"),
    ],
)
def test_tables_of_another_program_are_refused(
    other_database: Callable[..., Election], statement: str, named: str, command: tuple[str, ...]
) -> None:
    """Nothing is created beside them, and nothing suggests that `voting init` would help."""
    election = other_database("", statement)
    line = refusal(election, *command)
    assert named in line
    assert "another program" in line


def test_the_defaults_of_a_database_do_not_matter(election: Election) -> None:
    """The decisions rely on the isolation of their transactions; times and names are read back."""
    name = election.conn.info.dbname
    defaults = {
        "default_transaction_isolation": "'repeatable read'",
        "datestyle": "'German'",
        "timezone": "'Asia/Kathmandu'",
        "client_encoding": "'LATIN1'",
    }
    try:
        for setting, value in defaults.items():
            election.conn.execute(f"ALTER DATABASE {name} SET {setting} TO {value}".encode())
        with connect(election.database) as conn, conn.transaction():
            assert conn.execute("SHOW transaction_isolation").fetchone() == ("read committed",)
            (row,) = conn.execute("SELECT 'Łódź', '2026-11-03T07:00:00-05:00'::timestamptz")
        assert row == ("Łódź", datetime(2026, 11, 3, 12, tzinfo=UTC))
        send_sample_ballots(election)
        election.consume()
        assert_counted(election)
        election.tally()
        done = election.run("voting", "reconcile", "--deep")
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        election.conn.execute(f"ALTER DATABASE {name} RESET ALL".encode())


def test_a_newer_database_is_refused(election: Election) -> None:
    """An older program does not know what its tables mean."""
    election.conn.execute("INSERT INTO schema_migrations VALUES (9999, 'future')")
    for command in COMMANDS:
        assert "9999" in refusal(election, *command)
    election.conn.execute("DELETE FROM schema_migrations WHERE version = 9999")


@contextmanager
def pgbouncer(election: Election, directory: Path) -> Iterator[Election]:
    """Run PgBouncer in transaction mode, with fewer sessions than clients, before the database."""
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    assert Path(program).exists(), "pgbouncer is missing: apt-get install pgbouncer"
    parts = conninfo_to_dict(str(election.database.url))
    (port,) = free_ports(1)
    users = directory / "users.txt"
    users.write_text(f'"{parts["user"]}" "{parts["password"]}"\n')
    ini = directory / "pgbouncer.ini"
    ini.write_text(
        f"[databases]\nvoting = host={parts['host']} port={parts['port']} dbname=voting\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = plain\n"
        f"auth_file = {users}\npool_mode = transaction\ndefault_pool_size = 4\n"
        "unix_socket_dir =\nignore_startup_parameters = extra_float_digits\n"
    )
    account = postgres_account()
    command = Command(
        name="pgbouncer",
        argv=[program, ini],
        env={},
        log_path=directory / "pgbouncer.log",
        cwd=Path("/"),
        account=account,
    )
    for path in (directory, users, ini):
        path.chmod(0o755)
    for path in directory.parents:
        if path.stat().st_mode & 0o077 == 0:
            path.chmod(0o711)
    child = election.supervisor.start(command)
    url = f"postgresql://{parts['user']}:{parts['password']}@127.0.0.1:{port}/voting"
    pooled = attrs.evolve(election, database=DatabaseSettings(SecretStr(url)))

    def answers() -> bool:
        child.check()
        try:
            connect(pooled.database).close()
        except UnreachableError:
            return False
        return True

    eventually(answers, "PgBouncer answers", timeout=20)
    try:
        yield pooled
    finally:
        child.stop()


def test_the_services_work_through_a_pooler_in_transaction_mode(
    election: Election, tmp_path: Path
) -> None:
    """Two consumers and a producer share its four sessions; every ballot counts once."""
    send_sample_ballots(election)
    with pgbouncer(election, tmp_path) as pooled:
        consumers = [
            pooled.start(
                *("voting-consumer", "run", f"--instance={name}", "--batch-size=20"),
                name=f"consumer-{name}",
            )
            for name in ("a", "b")
        ]
        eventually(
            lambda: election.gather_evidence().rejected.get("underage") == 30, "all are decided"
        )
        assert_counted(election)
        sent = pooled.run("voting-producer", "run", "--source=synthetic", "--voters=3000")
        assert sent.returncode == 0, sent.stderr
        eventually(
            lambda: len(election.gather_evidence().stored_choices) == 3270, "all are decided"
        )
        for consumer in consumers:
            assert consumer.returncode is None, consumer.log_path.read_text()
            consumer.stop()
        status = pooled.run("voting", "status", "--json")
        assert status.returncode in (0, 3), status.stderr
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
    assert election.conn.execute(idle).fetchone() == (0,)


def test_commands_with_temporary_tables_ask_for_a_direct_connection(
    election: Election, tmp_path: Path
) -> None:
    """A pooler could give each of their statements another session."""
    check_direct(election.conn, "this test")
    with pgbouncer(election, tmp_path) as pooled:
        with connect(pooled.database) as conn, pytest.raises(InputError, match="pooler"):
            check_direct(conn, "this test")
        for command in ("reconcile", "certify"):
            options = ["--out=results"] if command == "certify" else []
            assert "pooler" in refusal(pooled, "voting", command, *options)
