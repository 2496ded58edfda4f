"""Tests of the command: its exit codes and messages."""

import http.client
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

EXIT_CODES = [(signal.SIGTERM, 0), (signal.SIGINT, 130)]

COMMAND = "from voting_dashboard.cli import main; main()"

WITHOUT_SERVICES = """
import io
from voting_dashboard import cli, service
service.open_stores = lambda *_: io.BytesIO()
cli.main()
"""

CONNECTING = """
import threading
from voting_dashboard import cli, service

def open_stores(*_):
    print("connecting", flush=True)
    threading.Event().wait()

service.open_stores = open_stores
cli.main()
"""


def run(*args: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *args],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def running(script: str, port: int, *args: str) -> Iterator[subprocess.Popen[str]]:
    """Run a script with the options of the command, and end it."""
    options = ["--port", str(port), "--kafka-bootstrap-servers", "127.0.0.1:1", *args]
    with subprocess.Popen(
        [sys.executable, "-c", script, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "VOTING_DATABASE_URL": "postgresql://u:secret@127.0.0.1:1/d"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_line(process: subprocess.Popen[str]) -> str:
    """Return the next line of the standard output."""
    assert process.stdout is not None
    return process.stdout.readline()


def test_port_in_use(used_port: int) -> None:
    """A port in use is one line and exit code 2, before any connection is tried."""
    ended = run("--port", str(used_port))
    assert ended.returncode == 2
    assert ended.stderr == (
        f"voting-dashboard: cannot listen on 127.0.0.1:{used_port}: Address already in use\n"
    )


def test_kafka_unreachable(free_port: int) -> None:
    """An unreachable Kafka is one line with its address and exit code 2."""
    servers = "127.0.0.1:1"
    ended = run(
        "--port", str(free_port), "--kafka-bootstrap-servers", servers, "--log-level", "error"
    )
    assert ended.returncode == 2
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("voting-dashboard: ")
    assert "Kafka" in last
    assert servers in last
    assert "Traceback" not in ended.stderr


def test_port_out_of_range() -> None:
    """A port out of range is a usage error."""
    ended = run("--port", "70000")
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


def test_help_names_the_variables() -> None:
    """Every option has an environment variable, and the default URL is not shown."""
    shown = "".join(run("--help").stdout.split())
    for name in (
        "DASHBOARD_HOST",
        "DASHBOARD_PORT",
        "DASHBOARD_BASE_PATH",
        "DASHBOARD_ORIGIN",
        "KAFKA_BOOTSTRAP_SERVERS",
        "DATABASE_URL",
    ):
        assert f"VOTING_{name}" in shown
    assert "postgres@" not in shown


@pytest.mark.parametrize(("signum", "code"), EXIT_CODES)
def test_serves_until_stopped(free_port: int, signum: signal.Signals, code: int) -> None:
    """The command prints its URL, serves the page there, and stops promptly on a signal."""
    with running(WITHOUT_SERVICES, free_port) as process:
        assert read_line(process) == f"The dashboard is at http://127.0.0.1:{free_port}\n"
        with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/", timeout=10) as response:
            assert response.status == 200
        process.send_signal(signum)
        assert process.wait(10) == code


def test_base_path(free_port: int) -> None:
    """The page is served below the base path, which the printed URL has, and only there."""
    address = f"http://127.0.0.1:{free_port}"
    with running(WITHOUT_SERVICES, free_port, "--base-path", "/count") as process:
        assert read_line(process) == f"The dashboard is at {address}/count\n"
        for path in ("/count", "/count/", "/count/_stcore/health"):
            with urllib.request.urlopen(f"{address}{path}", timeout=10) as response:
                assert response.status == 200
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=10)


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("results.example.org", "https://results.example.org", 101),
        ("127.0.0.1:{port}", "https://results.example.org", 101),
        ("127.0.0.1:{port}", "https://elsewhere.example.org", 403),
    ],
    ids=["the proxy keeps the Host header", "it does not", "another site"],
)
def test_websocket_origins(free_port: int, host: str, origin: str, status: int) -> None:
    """WebSockets of the page's origin are accepted behind any proxy, others are refused."""
    options = ("--base-path=count", "--origin=https://results.example.org")
    with running(WITHOUT_SERVICES, free_port, *options) as process:
        read_line(process)
        connection = http.client.HTTPConnection("127.0.0.1", free_port, timeout=10)
        headers = {
            "Host": host.format(port=free_port),
            "Origin": origin,
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        connection.request("GET", "/count/_stcore/stream", headers=headers)
        assert connection.getresponse().status == status
        connection.close()


@pytest.mark.parametrize(("signum", "code"), EXIT_CODES)
def test_stops_before_the_server_is_up(free_port: int, signum: signal.Signals, code: int) -> None:
    """A signal during startup has the same exit code, and stops the command at once."""
    with running(CONNECTING, free_port) as process:
        assert read_line(process) == "connecting\n"
        process.send_signal(signum)
        assert process.wait(10) == code
