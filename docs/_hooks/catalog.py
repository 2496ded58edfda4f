"""Topics, tables, reason codes and exit codes as Markdown, read from the code that defines them."""

import inspect

from commands import code, lines, row

from voting_core import exceptions, topics
from voting_core.database.migrations import migrations
from voting_core.exceptions import VotingError


def topics_section() -> str:
    """Return the table of all topics and the configuration that `voting init` gives them."""
    text = "| topic | partitions | configuration |\n|---|---|---|\n"
    for topic in topics.ALL_TOPICS:
        config = lines(*(f"{name}={value}" for name, value in topic.config.items()))
        text += row(code(topic.name), str(topic.partitions or "`--partitions`"), config)
    return text


def schema_section() -> str:
    """Return the SQL of every migration."""
    text = ""
    for migration in migrations():
        text += f"## Migration {migration.version}: {migration.name}\n\n"
        text += f"```sql\n{migration.sql.strip()}\n```\n\n"
    return text


def exceptions_section() -> str:
    """Return the table of the errors that end a command, each with its exit code."""
    text = "| error | exit code | meaning |\n|---|---|---|\n"
    for name, kind in vars(exceptions).items():
        if isinstance(kind, type) and issubclass(kind, VotingError):
            text += row(code(name), str(kind.exit_code), inspect.getdoc(kind) or "")
    return text
