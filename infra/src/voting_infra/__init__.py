"""What the voting services run on, for development, tests and the demo."""

from voting_infra.exceptions import (
    ChildError,
    ChildExited,
    ChildTimeout,
    EngineError,
    ImageError,
    KafkaLibsError,
    PortTaken,
    PostgresError,
    StackError,
    SupervisionError,
)
from voting_infra.processes import Child, Command, describe_exit
from voting_infra.servers import Server
from voting_infra.stack import Stack, StackKind, open_stack
from voting_infra.supervisor import Supervisor

__all__ = [
    "Child",
    "ChildError",
    "ChildExited",
    "ChildTimeout",
    "Command",
    "EngineError",
    "ImageError",
    "KafkaLibsError",
    "PortTaken",
    "PostgresError",
    "Server",
    "Stack",
    "StackError",
    "StackKind",
    "SupervisionError",
    "Supervisor",
    "describe_exit",
    "open_stack",
]
