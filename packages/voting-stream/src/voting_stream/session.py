"""The Spark session, and its checkpoint, which one driver uses at a time."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pyspark.sql import SparkSession

from voting_core.exceptions import FatalError
from voting_stream.settings import StreamSettings

LOCK_SECONDS = 60.0
LOCAL = "local[*]"
JAVA_OPTIONS = "spark.driver.extraJavaOptions"


def is_submitted(environ: Mapping[str, str]) -> bool:
    """Return whether spark-submit runs this program and has chosen its Java and its master."""
    return "PYSPARK_GATEWAY_PORT" in environ


def start_session(settings: StreamSettings, java_options: Sequence[str]) -> SparkSession:
    """Start Spark; the first start downloads the Kafka connector.

    The driver's Java gets the options before those in the configuration.
    """
    master = settings.master or ("" if is_submitted(os.environ) else LOCAL)
    conf: dict[str, Any] = {
        "spark.sql.shuffle.partitions": settings.shuffle_partitions,
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    if settings.kafka_package:
        conf["spark.jars.packages"] = settings.kafka_package
    if master:
        conf["spark.master"] = master
    if master.startswith("local"):
        conf["spark.driver.bindAddress"] = conf["spark.driver.host"] = "127.0.0.1"
    conf |= settings.spark_conf
    if java_options:
        conf[JAVA_OPTIONS] = " ".join((*java_options, conf.get(JAVA_OPTIONS, "")))
    spark = SparkSession.builder.appName("voting-stream").config(map=conf).getOrCreate()
    spark.sparkContext.setLogLevel("WARN")
    return spark


def checkpoint_path(settings: StreamSettings, votes_topic_id: str) -> str:
    """Return the directory of the checkpoint; a recreated `votes_topic` gets another one."""
    root = settings.checkpoint.rstrip("/")
    if not urlsplit(root).scheme:
        root = str(Path(root).absolute())
    return f"{root}/{votes_topic_id}"


def lock_checkpoint(spark: SparkSession, checkpoint: str) -> Any:
    """Lock the checkpoint until Spark's Java process ends.

    Java owns the lock because it writes the checkpoint and may outlive a killed Python process for
    a moment. Object storage has no such lock: there, only Spark's own check that a batch is
    written once prevents two drivers.

    Returns:
        The lock, to which the caller must keep a reference; None on object storage.

    Raises:
        FatalError: Another driver still holds the lock after a minute.
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
