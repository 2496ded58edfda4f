"""Errors of the stack.

StackError
├── EngineError        the Docker engine is unreachable or refuses a request
├── ImageError         an image can be neither found nor pulled nor built
├── KafkaLibsError     Kafka's artifacts cannot be resolved
├── PostgresError      PostgreSQL's programs cannot be used here
├── SupervisionError   children cannot be started, guarded or ended
└── ChildError         one child process; names its log file
    ├── ChildExited    it ended although it should run
    │   └── PortTaken  … because another process has its port
    └── ChildTimeout   it did not answer, or not end, in time
"""

from pathlib import Path

from voting_infra.logs import tail


class StackError(Exception):
    """Anything that keeps a stack from coming up, running or going down."""


class EngineError(StackError):
    """The Docker engine is unreachable, or refuses a request."""


class ImageError(StackError):
    """An image is not there, and can be neither pulled nor built."""


class KafkaLibsError(StackError):
    """Kafka's artifacts could not be resolved into the cache."""


class PostgresError(StackError):
    """PostgreSQL's programs are missing or cannot be run by this user."""


class SupervisionError(StackError):
    """A child cannot be started, guarded or ended."""


class ChildError(StackError):
    """Something is wrong with one child process; the message shows the end of its log.

    Attributes:
        name: What the child is called in messages.
        log_path: Where its output goes.
    """

    def __init__(self, name: str, what: str, log_path: Path) -> None:
        message = f"{name} {what}; its log is {log_path}"
        if last_lines := tail(log_path):
            message += f" and ends with:\n{last_lines}"
        super().__init__(message)
        self.name = name
        self.log_path = log_path


class ChildExited(ChildError):
    """A child that should run has ended."""


class PortTaken(ChildExited):
    """A child ended because its port belongs to another process."""


class ChildTimeout(ChildError, TimeoutError):
    """A child did not answer, or not end, within its deadline."""
