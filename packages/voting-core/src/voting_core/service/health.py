"""A file that a service touches while it gets on: its age is what a health check looks at."""

from pathlib import Path

from voting_core.exceptions import InputError

__all__ = ["HEARTBEAT_HELP", "Heartbeat"]

HEARTBEAT_HELP = "File to touch while the service gets on; health checks look at its age."


class Heartbeat:
    """Touches the file, or does nothing without one."""

    def __init__(self, path: Path | None) -> None:
        """Leave the file as it is until the first beat.

        Raises:
            InputError: Its directory does not exist.
        """
        if path is not None and not path.parent.is_dir():
            raise InputError(f"heartbeat: there is no directory {path.parent}")
        self._path = path

    def beat(self) -> None:
        """Say that the service gets on."""
        if self._path is not None:
            self._path.touch()
