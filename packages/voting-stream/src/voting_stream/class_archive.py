"""The archive of the classes that Spark loads."""

from pathlib import Path

import pyspark
import structlog

from voting_core.service.class_archive import ClassArchive
from voting_core.service.java import Java

log = structlog.get_logger()


def find_archive(directory: Path, java: Java, kafka_package: str) -> ClassArchive:
    """Find the archive in a directory that fits this Java, this Spark and its Kafka connector."""
    return ClassArchive.find(
        directory, "spark", java, pyspark.__version__, pyspark.__file__, kafka_package
    )


def keep_archive(archive: ClassArchive) -> None:
    """Keep the archive that Java recorded when it exited; do nothing if one exists already."""
    if not archive.exists and archive.keep():
        log.info("recorded Spark's classes for a faster start", archive=str(archive.path))
