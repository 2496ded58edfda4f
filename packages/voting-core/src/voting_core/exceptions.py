"""Errors that a caller or an operator can act on.

* VotingError: exit code 1
  * FatalError: the service cannot go on and be right
  * SetupError: exit code 2, something outside is to be mended first
    * InputError: a file or an option is wrong
    * UnreachableError: Kafka, PostgreSQL or an API does not answer
    * JavaError: no Java, or one that is too old
    * SchemaError: the tables are missing or older than needed
    * TopicError: a topic is missing or configured in a way that would lose votes
  * SerializationError: a record is not what its topic holds
"""

__all__ = [
    "FatalError",
    "InputError",
    "JavaError",
    "SchemaError",
    "SerializationError",
    "SetupError",
    "TopicError",
    "UnreachableError",
    "VotingError",
]


class VotingError(Exception):
    """Base of all errors that the services raise on purpose; the message is one line."""

    exit_code = 1


class FatalError(VotingError):
    """The service cannot go on and be right: it stops and a supervisor may start it again."""


class SetupError(VotingError):
    """Something outside the program has to be mended before it can run."""

    exit_code = 2


class InputError(SetupError):
    """A file or an option does not hold what it must."""


class UnreachableError(SetupError):
    """A system that is needed does not answer; the message names its address."""


class JavaError(SetupError):
    """No usable Java: the message says what was found and what to install."""


class SchemaError(SetupError):
    """The database's schema is missing or older than this program needs."""


class TopicError(SetupError):
    """A topic is missing, or its configuration would lose votes."""


class SerializationError(VotingError):
    """A record's bytes are not what its topic holds; the message says where and why."""
