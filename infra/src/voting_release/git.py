"""The few things that are asked of Git."""

import subprocess
from pathlib import Path

from voting_release.exceptions import ReleaseError

__all__ = ["Git"]


class Git:
    """A checkout with its whole history."""

    def __init__(self, root: Path) -> None:
        """Look whether this is one.

        Args:
            root: The top of the checkout.

        Raises:
            ReleaseError: It is no checkout, or a shallow one, in which tags may be missing.
        """
        self._root = root
        if self("rev-parse", "--show-prefix"):
            raise ReleaseError(f"{root} is not the top of a Git checkout")
        if self("rev-parse", "--is-shallow-repository") == "true":
            raise ReleaseError(f"{root} is a shallow checkout: git fetch --unshallow --tags")

    def __call__(self, *args: str) -> str:
        """Run a command and return what it prints.

        Raises:
            ReleaseError: It failed; with what Git says.
        """
        done = subprocess.run(
            ["git", "-C", str(self._root), *args], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ReleaseError(f"git {args[0]}: {' '.join(done.stderr.split())}")
        return done.stdout.strip()

    def is_dirty(self) -> bool:
        """Tell whether anything is not committed."""
        return bool(self("status", "--porcelain"))

    def has_tag(self, tag: str) -> bool:
        """Tell whether there is a tag of this name."""
        return self("tag", "--list", tag) == tag

    def latest_tag(self, pattern: str) -> str | None:
        """Return the nearest tag in the history of what is checked out, if there is one."""
        reachable = self("tag", "--list", pattern, "--merged", "HEAD")
        if not reachable:
            return None
        return self("describe", "--tags", "--abbrev=0", f"--match={pattern}")

    def changed_since(self, commit: str, folder: Path) -> bool:
        """Tell whether a folder is another now than it was, committed or not."""
        path = str(folder.relative_to(self._root))
        changed = self("diff", "--name-only", commit, "--", path)
        return bool(changed or self("ls-files", "--others", "--exclude-standard", "--", path))

    def show(self, commit: str, file: Path) -> str:
        """Return a file as it was."""
        return self("show", f"{commit}:{file.relative_to(self._root).as_posix()}")
