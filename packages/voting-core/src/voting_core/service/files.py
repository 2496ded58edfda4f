"""Writing a file so that no reader ever finds half of it."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from voting_core.exceptions import InputError

__all__ = ["check_writable", "write_json"]


def check_writable(path: Path, what: str) -> None:
    """Check that a file can be written, before the work whose result it is for.

    Args:
        path: The file.
        what: What the file is, for the message.

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
    """Replace a file by a value as indented JSON, synced to disk, in one step.

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
    # A temporary file is private; the result gets the permissions of any new file.
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
    temporary.replace(path)
