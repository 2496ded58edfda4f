"""Starting Java in half the time with an archive of the classes that it loads (JEP 350).

Java writes such an archive when it ends and reads it back when it starts. It fits one build of
Java and one class path only, so both are part of the file's name.
"""

import hashlib
import secrets
from pathlib import Path

import attrs

from voting_core.service.java import Java


@attrs.frozen
class ClassArchive:
    """An archive that exists, or that the next Java to end records.

    Attributes:
        path: The archive.
        exists: Whether it was there when it was looked for.
    """

    path: Path
    exists: bool
    _partial: Path

    @classmethod
    def find(cls, directory: Path, program: str, java: Java, *class_path: str) -> "ClassArchive":
        """Look for the archive of a program among those kept in a directory.

        Args:
            directory: Made when there is something to record.
            program: The beginning of the file's name.
            java: Runs the program.
            class_path: What decides on the classes.
        """
        key = "\n".join((str(java.path.resolve()), java.build, *class_path))
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        path = directory.absolute() / f"{program}-{digest}.jsa"
        # Of its own, so that several that record at the same time do not write one file.
        return cls(path, path.exists(), path.with_suffix(f".{secrets.token_hex(4)}.part"))

    @property
    def java_option(self) -> str:
        """The option with which Java uses the archive, or records it."""
        if self.exists:
            return f"-XX:SharedArchiveFile={self.path}"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return f"-XX:ArchiveClassesAtExit={self._partial}"

    def keep(self) -> bool:
        """Keep what a Java that ended in good order has recorded; return whether it did."""
        if not self._partial.exists():
            return False
        self._partial.replace(self.path)
        return True
