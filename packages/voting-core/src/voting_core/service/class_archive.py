"""Archives of loaded classes (JEP 350), with which Java starts in half the time.

Java writes an archive when it exits and reads it when it starts. An archive is valid for one build
of Java and one class path, so the file's name contains a digest of both.
"""

import hashlib
import secrets
from pathlib import Path

import attrs

from voting_core.service.java import Java


@attrs.frozen
class ClassArchive:
    """An archive that exists, or that the next Java process records when it exits."""

    path: Path
    exists: bool
    _partial: Path

    @classmethod
    def find(cls, directory: Path, program: str, java: Java, *class_path: str) -> "ClassArchive":
        """Look for the archive of a program.

        Args:
            directory: Directory of the archives; created when one is recorded.
            program: The start of the file's name.
            java: The Java that runs the program.
            class_path: Everything that determines the loaded classes.
        """
        key = "\n".join((str(java.path.resolve()), java.build, *class_path))
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        path = directory.absolute() / f"{program}-{digest}.jsa"
        # Processes that record at the same time write different files.
        return cls(path, path.exists(), path.with_suffix(f".{secrets.token_hex(4)}.part"))

    @property
    def java_option(self) -> str:
        """The option that makes Java use the archive, or record it."""
        if self.exists:
            return f"-XX:SharedArchiveFile={self.path}"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return f"-XX:ArchiveClassesAtExit={self._partial}"

    def keep(self) -> bool:
        """Keep the archive that Java recorded; return whether there is one."""
        if not self._partial.exists():
            return False
        self._partial.replace(self.path)
        return True
