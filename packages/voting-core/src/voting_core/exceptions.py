"""Errors that a caller or an operator can act on, and the exit codes of the commands.

* VotingError: exit code 1
  * FatalError: the service must stop, because it cannot continue correctly
    * TopicRecreatedError: a topic was deleted or recreated while the service runs
  * SerializationError: a record does not have the format of its topic
  * SetupError: exit code 2, a usage, configuration or environment error
    * InputError: a file or an option is invalid
    * UnreachableError: Kafka, PostgreSQL or an API is unreachable
      * BlockedError: an open transaction of another client holds back a topic
    * JavaError: Java is missing or its version is not supported
    * SchemaError: the database's schema is missing or outdated
    * TopicError: a topic is missing, or its configuration would lose votes
    * ElectionError: the database and Kafka do not belong to one election, or to one state of it
  * UndecidedError: exit code 3, a check could not be completed
"""

import enum


class ExitCode(enum.IntEnum):
    """The exit codes of all commands.

    Attributes:
        FAILURE: The command failed, the data stores disagree, or something is wrong with the count.
        SETUP: A usage, configuration or environment error.
        UNDECIDED: A check could not be completed, or the pipeline is degraded or stuck.
        INTERRUPTED: By the user.
    """

    OK = 0
    FAILURE = 1
    SETUP = 2
    UNDECIDED = 3
    INTERRUPTED = 130


def one_line(error: BaseException) -> str:
    """Return the message of any error in one line."""
    return " ".join(str(error).split())


class VotingError(Exception):
    """Base of all errors that the services raise deliberately; the message is one line."""

    exit_code: int = ExitCode.FAILURE


class FatalError(VotingError):
    """The service cannot continue correctly and must stop; it may be restarted."""


class TopicRecreatedError(FatalError):
    """A topic was deleted or recreated while the service runs; the message names it."""


class SerializationError(VotingError):
    """A record does not have the format of its topic; the message names the invalid field."""


class SetupError(VotingError):
    """A usage, configuration or environment error."""

    exit_code = ExitCode.SETUP

    def __init__(self, reason: str, remedy: str | None = None) -> None:
        """Say what is wrong and, unless the reason says it, what to do."""
        super().__init__(reason if remedy is None else f"{reason}: {remedy}")
        self.reason = reason
        self.remedy = remedy


class InputError(SetupError):
    """A file or an option is invalid."""


class UnreachableError(SetupError):
    """A system is unreachable; the message contains its address."""


class BlockedError(UnreachableError):
    """An open transaction holds back a topic; the message names topic, partition and offset."""


class JavaError(SetupError):
    """Java is missing or unsupported; the message says what was found and what to install."""


class SchemaError(SetupError):
    """The database's schema is missing or older than this program requires."""


class TopicError(SetupError):
    """A topic is missing, or its configuration would lose votes."""


class ElectionError(SetupError):
    """The database and Kafka belong to different elections, or one is older than the other."""


class UndecidedError(VotingError):
    """A check could not be completed, so it found neither agreement nor disagreement."""

    exit_code = ExitCode.UNDECIDED
