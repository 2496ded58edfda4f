"""The commands of the services as they are installed here, and their environment."""

import os
import sys
from pathlib import Path

from voting_infra.logs import cache_directory
from voting_infra.processes import Command
from voting_infra.stack import Stack


def spark_archives() -> Path:
    """Return the directory of the archives of Spark's classes, in the user's cache."""
    return cache_directory() / "spark"


def environment_without_settings() -> dict[str, str]:
    """Return this process's environment without the user's own settings of the services."""
    return {k: v for k, v in os.environ.items() if not k.startswith("VOTING_")}


def service_environment(bootstrap_servers: str, database_url: str) -> dict[str, str]:
    """Return the environment in which services work on a stack, and on no other."""
    return environment_without_settings() | {
        "VOTING_KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "VOTING_DATABASE_URL": database_url,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def service_command(stack: Stack, script: str, *args: str, name: str | None = None) -> Command:
    """Return the command of a service on a stack.

    Args:
        stack: What it runs on.
        script: The console script.
        args: Its arguments.
        name: What messages call it, and its log; the script's name by default.
    """
    return Command(
        name=name or script,
        argv=[Path(sys.executable).parent / script, *args],
        env=service_environment(stack.bootstrap_servers, stack.database_url),
        log_path=stack.log_dir / f"{name or script}.log",
    )
