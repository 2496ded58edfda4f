"""Errors that a caller or an operator can act on.

* VotingError: exit code 1
  * FatalError: the service must stop, because it cannot continue correctly
  * SerializationError: a record does not have the format of its topic
  * SetupError: exit code 2, a usage, configuration or environment error
    * InputError: a file or an option is invalid
    * UnreachableError: Kafka, PostgreSQL or an API is unreachable
    * JavaError: Java is missing or its version is not supported
    * SchemaError: the database's schema is missing or outdated
    * TopicError: a topic is missing, or its configuration would lose votes
"""


def one_line(error: BaseException) -> str:
    """Return the message of any error in one line."""
    return " ".join(str(error).split())


class VotingError(Exception):
    """Base of all errors that the services raise deliberately; the message is one line."""

    exit_code = 1


class FatalError(VotingError):
    """The service cannot continue correctly and must stop; it may be restarted."""


class SerializationError(VotingError):
    """A record does not have the format of its topic; the message names the invalid field."""


class SetupError(VotingError):
    """A usage, configuration or environment error."""

    exit_code = 2


class InputError(SetupError):
    """A file or an option is invalid."""


class UnreachableError(SetupError):
    """A system is unreachable; the message contains its address."""


class JavaError(SetupError):
    """Java is missing or unsupported; the message says what was found and what to install."""


class SchemaError(SetupError):
    """The database's schema is missing or older than this program requires."""


class TopicError(SetupError):
    """A topic is missing, or its configuration would lose votes."""
