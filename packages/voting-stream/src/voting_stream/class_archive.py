"""The archive of the classes that Spark loads."""

from pathlib import Path

import pyspark
import structlog
from pyspark.sql import SparkSession

from voting_core.service.class_archive import ClassArchive
from voting_core.service.java import Java

RECORD_SECONDS = 60.0

log = structlog.get_logger()


def find_archive(directory: Path, java: Java, kafka_package: str) -> ClassArchive:
    """Look for the archive that fits this Spark and its connector, among those in a directory."""
    return ClassArchive.find(
        directory, "spark", java, pyspark.__version__, pyspark.__file__, kafka_package
    )


def record_archive(archive: ClassArchive, spark: SparkSession) -> None:
    """Let a stopped session's Java end, and keep the archive that it records unless there is one.

    Raises:
        subprocess.TimeoutExpired: Java has not ended after a minute.
    """
    if archive.exists:
        return
    process = spark.sparkContext._gateway.proc  # type: ignore[union-attr]
    # The end of its input is what tells this Java that Python has gone.
    process.stdin.close()
    process.wait(RECORD_SECONDS)
    if archive.keep():
        log.info("recorded Spark's classes for a faster start", archive=str(archive.path))
