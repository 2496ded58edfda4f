"""Starting Spark's Java in half the time with an archive of the classes that it loads.

Java writes such an archive when it ends (JEP 350) and reads it back when it starts. It fits one
build of Java and one class path only, so both are in the file's name.
"""

import hashlib
import os
from pathlib import Path

import attrs
import pyspark
import structlog
from pyspark.sql import SparkSession

from voting_core.service.java import Java

__all__ = ["ClassArchive"]

RECORD_SECONDS = 60.0

log = structlog.get_logger()


@attrs.frozen
class ClassArchive:
    """An archive that is there, or that this run is to record.

    Attributes:
        path: The archive.
        exists: Whether it was there when Java started.
    """

    path: Path
    exists: bool

    @classmethod
    def find(cls, directory: Path, java: Java, kafka_package: str) -> "ClassArchive":
        """Look for the archive that fits, among those kept in a directory."""
        fits = "\n".join((java.build, pyspark.__version__, pyspark.__file__, kafka_package))
        name = f"spark-{hashlib.sha256(fits.encode()).hexdigest()[:16]}.jsa"
        path = directory.absolute() / name
        return cls(path, path.exists())

    @property
    def java_option(self) -> str:
        """What Java is told: to use the archive, or to record it."""
        if self.exists:
            return f"-XX:SharedArchiveFile={self.path}"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return f"-XX:ArchiveClassesAtExit={self._partial}"

    @property
    def _partial(self) -> Path:
        return self.path.with_suffix(f".{os.getpid()}.part")

    def end_java(self, spark: SparkSession) -> None:
        """Let a stopped session's Java end, and keep the archive that it records meanwhile.

        Raises:
            subprocess.TimeoutExpired: Java has not ended after a minute.
        """
        if self.exists:
            return
        process = spark.sparkContext._gateway.proc  # type: ignore[union-attr]
        # The end of its input is what tells this Java that Python has gone.
        process.stdin.close()
        process.wait(RECORD_SECONDS)
        if self._partial.exists():
            self._partial.replace(self.path)
            log.info("recorded Spark's classes for a faster start", archive=str(self.path))
