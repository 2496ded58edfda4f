"""What `voting status --json` has printed."""

import json
import subprocess
from typing import Any

import attrs

__all__ = ["Status"]


@attrs.frozen
class Status:
    """The state of the pipeline, as the operator's command tells it.

    Attributes:
        exit_code: That of the command.
        found: The JSON object on standard output; empty without one.
        errors: Standard error.
    """

    exit_code: int
    found: dict[str, Any]
    errors: str

    @classmethod
    def of(cls, done: subprocess.CompletedProcess[str]) -> "Status":
        """Return what a command that has ended printed."""
        return cls(done.returncode, json.loads(done.stdout or "{}"), done.stderr)

    @property
    def kinds(self) -> set[str]:
        """The kinds of the diagnosed problems."""
        return {each["kind"] for each in self.found.get("diagnosis", {}).get("problems", ())}

    @property
    def text(self) -> str:
        """All of it, to look for a cause."""
        return json.dumps(self.found, ensure_ascii=False) + self.errors
