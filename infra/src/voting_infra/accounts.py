"""Running a child as somebody with fewer rights."""

import os
import pwd
from pathlib import Path

from voting_infra.child import Account
from voting_infra.exceptions import PostgresError

# The account that exists for PostgreSQL where one does, else that of nobody in particular.
_NAMES = ("postgres", "nobody")


def postgres_account() -> Account | None:
    """Returns who may run PostgreSQL, which refuses to run as root; None for this user.

    Raises:
        PostgresError: This is root, and there is no account to change to.
    """
    if os.geteuid() != 0:
        return None
    for name in _NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise PostgresError(
        f"PostgreSQL does not run as root and there is no account {' or '.join(_NAMES)};"
        " run this as another user, or add such an account"
    )


def is_traversable(path: Path) -> bool:
    """Tells whether any account may pass through a directory and all above it."""
    return all(each.stat().st_mode & 0o001 for each in (path, *path.resolve().parents))
