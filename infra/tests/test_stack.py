"""The whole embedded stack: real Kafka, real PostgreSQL."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from conftest import family, is_alive, until
from voting_infra import (
    Child,
    ChildExited,
    Command,
    PortTaken,
    PostgresError,
    Stack,
    StackError,
    Supervisor,
    open_stack,
    ports,
    servers,
)
from voting_infra.kafka import EmbeddedKafka
from voting_infra.postgres import EmbeddedPostgres, find_programs, usable_programs


def test_another_process_takes_the_port(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port grabbed between choice and start costs another attempt, not the stack."""
    taken, free = ports.free_ports(2)
    offers = iter([[taken], [free]])
    monkeypatch.setattr(servers, "free_ports", lambda _: next(offers))
    with socket.create_server((ports.LOOPBACK, taken)):
        postgres = EmbeddedPostgres(supervisor)
        postgres.start_on_free_ports()
    assert f":{free}/" in postgres.database_url
    postgres.stop()
    with socket.create_server((ports.LOOPBACK, free)), pytest.raises(PortTaken, match=str(free)):
        postgres.start()


def test_kafka_notices_a_taken_port(embedded: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A taken port is an error for Kafka, also where another Kafka answers there."""
    with Supervisor(embedded.log_dir / "second") as supervisor:
        assert isinstance(embedded.kafka, EmbeddedKafka)
        taken = int(embedded.bootstrap_servers.rpartition(":")[2])
        monkeypatch.setattr(servers, "free_ports", lambda _: [taken, *ports.free_ports(1)])
        monkeypatch.setattr(servers, "PORT_ATTEMPTS", 1)
        second = EmbeddedKafka(supervisor, embedded.kafka._java, embedded.kafka._libs)
        with pytest.raises(PortTaken, match=str(taken)):
            second.start_on_free_ports()


# Opens a stack, prints the ids of its servers, then waits.
PARENT = """
import sys, time
from pathlib import Path
from voting_infra import open_stack
with open_stack(log_dir=Path(sys.argv[1])) as stack:
    print(stack.kafka.child.pid, stack.postgres.child.pid, flush=True)
    time.sleep(600)
"""


def shared_memory_creators() -> list[int]:
    """The processes that made the System V shared memory of this machine."""
    segments = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return [int(segment.split()[4]) for segment in segments]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_stack_ends_with_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    """However the parent is ended, no process, directory or shared memory of the stack stays."""
    temporary = Path(tempfile.mkdtemp(dir="/tmp"))
    temporary.chmod(0o755)
    try:
        with subprocess.Popen(
            [sys.executable, "-c", PARENT, str(tmp_path / "logs")],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": str(temporary)},
        ) as parent:
            assert parent.stdout is not None
            leaders = [int(word) for word in parent.stdout.readline().split()]
            pids = family(parent.pid)
            mapped = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in leaders)
            parent.send_signal(number)
            parent.wait(40)
        assert {parent.pid, *leaders} < pids
        # What is there outlives a SIGKILL.
        assert "/dev/shm" not in mapped
        assert until(lambda: not any(is_alive(pid) for pid in pids), 40)
        assert until(lambda: not list(temporary.glob("voting-*")), 40)
        assert not any(creator in leaders for creator in shared_memory_creators())
    finally:
        shutil.rmtree(temporary)


def test_an_interrupted_start_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C while the servers start ends the command soon, with all that it has started."""
    with subprocess.Popen(
        [sys.executable, "-m", "voting_infra.stack", "--log-dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as command:
        assert until(lambda: (tmp_path / "kafka.log").exists())
        # Beside itself and its guard there is a server.
        assert until(lambda: len(family(command.pid)) > 2)
        pids = family(command.pid)
        command.send_signal(signal.SIGINT)
        assert command.wait(15) == 0
    assert until(lambda: not any(is_alive(pid) for pid in pids))


def test_a_failing_server_takes_the_other_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When one server cannot start, the error names its log and the other one ends too."""
    children = []

    def fail(self: EmbeddedPostgres) -> None:
        assert until(lambda: (tmp_path / "kafka.log").exists())
        raise PostgresError("no PostgreSQL today")

    def record(self: Supervisor, command: Command) -> Child:
        children.append(start(self, command))
        return children[-1]

    start = Supervisor.start
    monkeypatch.setattr(EmbeddedPostgres, "start_on_free_ports", fail)
    monkeypatch.setattr(Supervisor, "start", record)
    with pytest.raises(PostgresError, match="today"), open_stack(log_dir=tmp_path):
        pytest.fail("the stack is up")
    assert children
    assert not any(is_alive(child.pid) for child in children)


def test_a_server_that_ends_shows_its_log(supervisor: Supervisor) -> None:
    """A server that ends instead of answering is an error with the last lines of its log."""
    postgres = EmbeddedPostgres(supervisor)
    postgres.start_on_free_ports()
    postgres.stop()
    (postgres._data / "PG_VERSION").unlink()
    with pytest.raises(ChildExited, match=r"(?s)postgresql\.log.*not a valid data directory"):
        postgres.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another account")
def test_unreachable_programs_are_copied(tmp_path: Path) -> None:
    """Programs that the account cannot reach run from a copy; the originals keep their modes."""
    package = find_programs().parents[1]
    hidden = tmp_path / "hidden"
    for source in (package / "pginstall18", package.with_name(f"{package.name}.libs")):
        shutil.copytree(source, hidden / source.relative_to(package.parent))
    hidden.chmod(0o700)
    programs = hidden / package.name / "pginstall18" / "bin"
    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    directory.chmod(0o755)
    try:
        account = pwd.getpwnam("nobody")
        copied = usable_programs(programs, account, directory)
        assert copied.is_relative_to(directory)
        assert hidden.stat().st_mode & 0o777 == 0o700
        assert usable_programs(copied, account, directory) == copied
    finally:
        shutil.rmtree(directory)


def test_unknown_kind() -> None:
    """A kind of stack that does not exist is refused by name."""
    with pytest.raises(StackError, match="'zeppelin'"), open_stack("zeppelin"):  # type: ignore[arg-type]
        pytest.fail("the stack is up")


def test_the_command_prints_shell_lines(tmp_path: Path) -> None:
    """The command's standard output can be evaluated by a shell, and Ctrl-C ends it with 0."""
    with subprocess.Popen(
        [sys.executable, "-m", "voting_infra.stack", "--log-dir", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stdout is not None
        lines = command.stdout.readline() + command.stdout.readline()
        script = f'{lines}\necho "$VOTING_KAFKA_BOOTSTRAP_SERVERS $VOTING_DATABASE_URL"'
        shell = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True)
        servers, url = shell.stdout.split()
        assert AdminClient({"bootstrap.servers": servers}).list_topics(timeout=20).brokers
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        command.send_signal(signal.SIGINT)
        assert command.wait(40) == 0
