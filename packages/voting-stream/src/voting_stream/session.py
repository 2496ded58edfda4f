"""The Spark session in its Java process, and its checkpoint, which one driver uses at a time."""

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from voting_core.exceptions import FatalError
from voting_stream.settings import StreamSettings
from voting_stream.slots import default_master

LOCK_SECONDS = 60.0
JAVA_OPTIONS = "spark.driver.extraJavaOptions"
LOG_CONFIG = Path(__file__).with_name("log4j2.properties")
EXIT_SECONDS = 60.0

_STATE_STORE = "spark.sql.streaming.stateStore"
STATE: Mapping[str, Any] = {
    f"{_STATE_STORE}.providerClass": (
        "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
    ),
    f"{_STATE_STORE}.checkpointFormatVersion": 2,
    f"{_STATE_STORE}.rocksdb.changelogCheckpointing.enabled": True,
}
"""The state's format that real-time mode requires, so that one checkpoint serves all triggers."""


def is_submitted(environ: Mapping[str, str]) -> bool:
    """Return whether spark-submit runs this program and has chosen its Java and its master."""
    return "PYSPARK_GATEWAY_PORT" in environ


def start_session(
    settings: StreamSettings, partitions: int, java_options: Sequence[str]
) -> SparkSession:
    """Start Spark; the first start downloads the Kafka connector.

    The driver's Java gets the options before those in the configuration. Once started, it ignores
    SIGTERM and SIGINT: a service manager, or Ctrl-C, sends these to the whole process group, and
    Java must not end before this process has stopped the query.

    Args:
        settings: Those of the stream.
        partitions: Number of partitions of `votes_topic`.
        java_options: Options of the driver's Java.
    """
    master = settings.master
    if master is None:
        master = "" if is_submitted(os.environ) else default_master(settings, partitions)
    conf: dict[str, Any] = {
        **STATE,
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
    log_option = f'"-Dlog4j2.configurationFile={LOG_CONFIG}"'
    conf[JAVA_OPTIONS] = " ".join((log_option, *java_options, conf.get(JAVA_OPTIONS, "")))
    spark = SparkSession.builder.appName("voting-stream").config(map=conf).getOrCreate()
    signals: Any = spark._jvm.sun.misc  # type: ignore[union-attr]
    for name in ("TERM", "INT"):
        signals.Signal.handle(signals.Signal(name), signals.SignalHandler.SIG_IGN)
    return spark


def stop_session(spark: SparkSession) -> None:
    """Stop Spark, and wait until its Java process has exited.

    spark-submit's Java process runs this program, and exits after it.

    Raises:
        subprocess.TimeoutExpired: The process has not exited after a minute.
    """
    gateway: Any = spark.sparkContext._gateway
    process = gateway.proc
    # If Java has crashed, nothing is left to stop.
    with contextlib.suppress(Py4JError, ConnectionError):
        spark.stop()
    with contextlib.suppress(Py4JError, ConnectionError):
        # Otherwise Python tells Java after its end which objects it may free, and logs the error.
        gateway.shutdown()
    if process is not None:
        # It exits at the end of its input.
        process.stdin.close()
        process.wait(EXIT_SECONDS)


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
