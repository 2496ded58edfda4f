"""The commands of the services as they are installed here."""

import os
import sys
from pathlib import Path

from voting_infra.child import Command
from voting_infra.stack import Stack

__all__ = ["service_command"]


def service_command(stack: Stack, script: str, *args: str, name: str | None = None) -> Command:
    """Return the command of a service on a stack.

    Args:
        stack: What it runs on.
        script: The console script.
        args: Its arguments.
        name: What messages call it, and its log; the script's name by default.
    """
    # What a user's own settings say of some other Kafka or database is not for this stack.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("VOTING_")}
    return Command(
        name=name or script,
        argv=[Path(sys.executable).parent / script, *args],
        env=inherited
        | {
            "VOTING_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
            "VOTING_DATABASE_URL": stack.database_url,
            "SPARK_LOCAL_IP": "127.0.0.1",
        },
        log_path=stack.log_dir / f"{name or script}.log",
    )
