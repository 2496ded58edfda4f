"""Tests of the command."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Iterator

import pytest

from voting_core.exceptions import InputError
from voting_dashboard.server import address, require_free_port
from voting_dashboard.settings import PageSettings


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def free() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def run(*args: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    code = "from voting_dashboard.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=60, check=False
    )


def test_port_in_use(taken: int) -> None:
    """A port in use is one line and exit code 2, before anything else is tried."""
    ended = run("--port", str(taken))
    assert ended.returncode == 2
    assert ended.stderr == (
        f"voting-dashboard: cannot listen on 127.0.0.1:{taken}: Address already in use\n"
    )


def test_kafka_unreachable(free: int) -> None:
    """A Kafka that does not answer is one line with its address, exit code 2."""
    ended = run(
        "--port", str(free), "--kafka-bootstrap-servers", "127.0.0.1:1", "--log-level", "error"
    )
    assert ended.returncode == 2
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("voting-dashboard: no Kafka broker answers at 127.0.0.1:1 ")
    assert "Traceback" not in ended.stderr


def test_port_out_of_range() -> None:
    """A port that is none is an error of the call."""
    ended = run("--port", "70000")
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


def test_help_names_the_variables() -> None:
    """Every option has a variable of its own, and the default URL does not show."""
    shown = "".join(run("--help").stdout.split())
    for name in ("DASHBOARD_HOST", "DASHBOARD_PORT", "KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL"):
        assert f"VOTING_{name}" in shown
    assert "postgres@" not in shown


def test_require_free_port(taken: int, free: int) -> None:
    """A free port passes, one in use or an address of elsewhere does not."""
    require_free_port(PageSettings(port=free))
    with pytest.raises(InputError, match="in use"):
        require_free_port(PageSettings(port=taken))
    with pytest.raises(InputError, match=r"cannot listen on 192\.0\.2\.1:"):
        require_free_port(PageSettings(host="192.0.2.1", port=free))


def test_address() -> None:
    """The address printed is one that a browser on this machine can open."""
    assert address(PageSettings()) == "http://127.0.0.1:8501"
    assert address(PageSettings(host="0.0.0.0", port=80)) == "http://localhost:80"
    assert address(PageSettings(host="::1")) == "http://[::1]:8501"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_serves_until_stopped(free: int, number: signal.Signals, code: int) -> None:
    """It prints its address, answers there, and a signal ends it promptly with its code."""
    script = textwrap.dedent(
        """
        from voting_dashboard import cli
        cli.connect_admin = lambda *_: None
        cli.connect = lambda *_, **__: open("/dev/null")
        cli.main()
        """
    )
    options = ["--port", str(free), "--kafka-bootstrap-servers", "127.0.0.1:1"]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "VOTING_DATABASE_URL": "postgresql://u:secret@127.0.0.1:1/d"},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"The dashboard is at http://127.0.0.1:{free}\n"
        with urllib.request.urlopen(f"http://127.0.0.1:{free}/", timeout=10) as answer:
            assert answer.status == 200
        process.send_signal(number)
        assert process.wait(10) == code
    finally:
        process.kill()
        process.wait()
