"""The heartbeat: a file updated on progress, whose age a health check measures."""

from pathlib import Path

from voting_core.exceptions import InputError

HEARTBEAT_HELP = "File updated on progress; a health check measures its age."


class Heartbeat:
    """Updates the modification time of a file; without a file it does nothing."""

    def __init__(self, path: Path | None) -> None:
        """Check the path; the first beat creates the file.

        Raises:
            InputError: The file's directory does not exist.
        """
        if path is not None and not path.parent.is_dir():
            raise InputError(f"heartbeat: there is no directory {path.parent}")
        self._path = path

    def beat(self) -> None:
        """Record progress."""
        if self._path is not None:
            self._path.touch()
