"""The environment variables and file sections of all commands, so that a misspelt one is noticed.

An environment is often shared, so the variables of every command are legitimate for each of them.
Core cannot import the services, so their names are listed here; a test compares them with the
settings of all commands.
"""

import difflib
from collections.abc import Iterable

from voting_core.exceptions import InputError

PREFIX = "VOTING_"
CONFIG = "VOTING_CONFIG"
FILE_SUFFIX = "_FILE"

SETTINGS = frozenset(
    {
        "api_url",
        "batch_size",
        "begins",
        "checkpoint",
        "checkpoint_interval",
        "class_archives",
        "consumer_group",
        "contest_name",
        "dashboard_base_path",
        "dashboard_origin",
        "dashboard_host",
        "dashboard_open_browser",
        "dashboard_port",
        "dashboard_refresh",
        "database_url",
        "draw_seed",
        "draw_weights",
        "election_date",
        "election_name",
        "election_type",
        "group",
        "heartbeat",
        "instance",
        "issuer",
        "issuer_abbreviation",
        "jurisdiction",
        "jurisdiction_type",
        "kafka_bootstrap_servers",
        "kafka_package",
        "location_type",
        "log_format",
        "log_level",
        "master",
        "max_offsets_per_trigger",
        "min_insync_replicas",
        "mode",
        "name",
        "nat",
        "office",
        "page_size",
        "partitions",
        "polls_close",
        "polls_open",
        "rate",
        "replication",
        "report",
        "results",
        "scale",
        "seed",
        "session_timeout",
        "shuffle_partitions",
        "slice",
        "source",
        "spark_conf",
        "test",
        "trigger",
        "until_idle",
        "voters",
        "year",
    }
)
"""The settings of all commands, as their variables name them, without the prefix."""

SHARED_SECTION = "voting"
SECTIONS = frozenset(
    {
        SHARED_SECTION,
        "voting-producer",
        "voting-consumer",
        "voting-stream",
        "voting-dashboard",
    }
)
"""The sections of the TOML file: the shared one, and one for each service."""

SECRETS = frozenset({"database_url"})
"""Settings that may also be read from the file that the variable with `_FILE` names."""

# Of the development stack; see `docs/reference/settings.md`.
_DEVELOPMENT = frozenset(
    {
        "cluster_id",
        "ivy_settings",
        "kafka_image",
        "kafka_port",
        "postgres_image",
        "postgres_port",
        "tag",
        "test_browser",
        "test_constraints",
        "test_stack",
    }
)
_KNOWN = {
    CONFIG,
    *(f"{PREFIX}{name.upper()}" for name in SETTINGS | _DEVELOPMENT),
    *(f"{PREFIX}{name.upper()}{FILE_SUFFIX}" for name in SECRETS),
}


def check_variables(names: Iterable[str]) -> None:
    """Check that no variable with the prefix `VOTING_` is misspelt.

    Raises:
        InputError: One is unknown; the message has the nearest known one.
    """
    for name in sorted(names):
        if name.startswith(PREFIX) and name not in _KNOWN:
            known = {each.removeprefix(PREFIX): each for each in sorted(_KNOWN)}
            nearest = difflib.get_close_matches(name.removeprefix(PREFIX), known, 1)
            hint = f"; did you mean {known[nearest[0]]}?" if nearest else ""
            raise InputError(f"{name} is not a setting{hint}")


def check_sections(names: Iterable[str]) -> None:
    """Check that no section of the TOML file is misspelt; those of other programs do not matter.

    Raises:
        InputError: One resembles a section; the message names both.
    """
    for name in sorted(set(names) - SECTIONS):
        words = name.lower().replace("_", "-")
        if any(words.startswith(f"{each}-") for each in SECTIONS - {SHARED_SECTION}):
            continue
        same = [each for each in SECTIONS if each in (words, f"{SHARED_SECTION}-{words}")]
        meant = same or difflib.get_close_matches(words, sorted(SECTIONS), 1, cutoff=0.9)
        if meant:
            raise InputError(f"[{name}] is not a section; did you mean [{meant[0]}]?")
