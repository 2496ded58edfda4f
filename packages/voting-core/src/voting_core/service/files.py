"""Atomic file writes: a reader finds the old content or the new, never a part."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from voting_core.exceptions import InputError


def check_writable(path: Path, what: str) -> None:
    """Check early that a result can be written later; `what` names it in the message.

    Raises:
        InputError: The folder is missing or not writable, or the path is a folder.
    """
    folder = path.absolute().parent
    if path.is_dir():
        raise InputError(f"{what} {path}: is a folder")
    if not folder.is_dir():
        raise InputError(f"{what} {path}: the folder {path.parent} does not exist")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{what} {path}: the folder {path.parent} is not writable")


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, replacing the file atomically and durably.

    Raises:
        OSError: The file cannot be written.
    """
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.absolute().parent, prefix=f".{path.name}.", delete=False
    ) as file:
        temporary = Path(file.name)
        try:
            json.dump(value, file, ensure_ascii=False, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            temporary.unlink()
            raise
    # A temporary file is private; the result gets the usual permissions of a new file.
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
    temporary.replace(path)
