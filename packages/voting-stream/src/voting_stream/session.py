"""The Spark session, and the lock that lets one driver at a time use a checkpoint."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pyspark.sql import SparkSession

from voting_core.exceptions import FatalError
from voting_stream.settings import StreamSettings

__all__ = ["checkpoint_of", "hold_checkpoint", "is_submitted", "start_session"]

LOCK_SECONDS = 60.0
LOCAL = "local[*]"
JAVA_OPTIONS = "spark.driver.extraJavaOptions"


def is_submitted(environ: Mapping[str, str]) -> bool:
    """Tell whether spark-submit runs this program, which then has its Java and its master already.

    Args:
        environ: The environment.
    """
    return "PYSPARK_GATEWAY_PORT" in environ


def start_session(settings: StreamSettings, java_options: Sequence[str]) -> SparkSession:
    """Start Spark; on the first time this downloads the Kafka connector.

    Args:
        settings: The master, the connector and further configuration.
        java_options: For the driver's Java, beside those in the configuration.
    """
    master = settings.master or (None if is_submitted(os.environ) else LOCAL)
    builder = (
        SparkSession.builder.appName("voting-stream")
        .config("spark.sql.shuffle.partitions", settings.shuffle_partitions)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
    )
    if settings.kafka_package:
        builder = builder.config("spark.jars.packages", settings.kafka_package)
    if master is not None:
        builder = builder.master(master)
    if master is not None and master.startswith("local"):
        builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config(
            "spark.driver.host", "127.0.0.1"
        )
    conf = dict(settings.spark_conf)
    if java_options:
        conf[JAVA_OPTIONS] = " ".join((*java_options, conf.get(JAVA_OPTIONS, "")))
    for name, value in conf.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("WARN")
    return spark


def checkpoint_of(settings: StreamSettings, votes_topic_id: str) -> str:
    """Return the checkpoint's directory; a recreated votes_topic gets a fresh one."""
    root = settings.checkpoint.rstrip("/")
    if not urlsplit(root).scheme:
        root = str(Path(root).absolute())
    return f"{root}/{votes_topic_id}"


def hold_checkpoint(spark: SparkSession, checkpoint: str) -> Any:
    """Take the checkpoint for as long as Spark's Java process lives.

    That process, not Python, does the work and may outlive a killed Python for a moment; so it is
    the one to hold the lock. On storage that is no file system there is no such lock, and Spark's
    own refusal to let two drivers write one batch remains.

    Returns:
        The lock; keep a reference to it.

    Raises:
        FatalError: Another driver still holds it after a minute.
    """
    parts = urlsplit(checkpoint)
    if parts.scheme not in ("", "file"):
        return None
    path = Path(f"{parts.path}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    jvm: Any = spark._jvm
    channel = jvm.java.io.RandomAccessFile(str(path), "rw").getChannel()
    deadline = time.monotonic() + LOCK_SECONDS
    while (lock := channel.tryLock()) is None:
        if time.monotonic() > deadline:
            raise FatalError(f"another voting-stream uses the checkpoint {checkpoint}")
        time.sleep(0.2)
    return lock
