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
    """Find the archive in a directory that fits this Java, this Spark and its Kafka connector."""
    return ClassArchive.find(
        directory, "spark", java, pyspark.__version__, pyspark.__file__, kafka_package
    )


def record_archive(archive: ClassArchive, spark: SparkSession) -> None:
    """Wait until the Java process of a stopped session exits, and keep the archive that it records.

    Does nothing if the archive already exists.

    Raises:
        subprocess.TimeoutExpired: The process has not exited after a minute.
    """
    if archive.exists:
        return
    process = spark.sparkContext._gateway.proc  # type: ignore[union-attr]
    # This process exits at the end of its input.
    process.stdin.close()
    process.wait(RECORD_SECONDS)
    if archive.keep():
        log.info("recorded Spark's classes for a faster start", archive=str(archive.path))
