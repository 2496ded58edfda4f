"""Settings of the stream."""

from pathlib import Path

import attrs
import typed_settings as ts

from voting_core.service.health import HEARTBEAT_HELP
from voting_core.service.settings import DatabaseSettings, KafkaSettings, LogSettings

AVAILABLE_NOW = "available-now"
REAL_TIME = "real-time"


@attrs.frozen
class StreamSettings:
    """Settings of `voting-stream run`."""

    kafka: KafkaSettings = ts.option(factory=KafkaSettings)
    database: DatabaseSettings = ts.option(factory=DatabaseSettings)
    log: LogSettings = ts.option(factory=LogSettings)
    master: str | None = ts.option(
        default=None,
        help="Spark master: local[N], spark://host:port, k8s://…; by default that of spark-submit, "
        "or local[*] without spark-submit.",
    )
    checkpoint: str = ts.option(
        default="voting-checkpoint",
        help="Directory of the checkpoint; on a cluster, a URL of shared storage.",
    )
    trigger: str = ts.option(
        default=REAL_TIME,
        help=f"'{REAL_TIME}': publish each total as it changes; an interval between batches, such "
        f"as '1 second'; or '{AVAILABLE_NOW}': count the votes that are there, then exit.",
    )
    checkpoint_interval: str = ts.option(
        default="2 minutes",
        help="Time between two checkpoints in real-time mode, at least '5 seconds'; after a crash, "
        "the votes since the last one are counted again.",
    )
    max_offsets_per_trigger: int = ts.option(
        default=1_000_000,
        validator=attrs.validators.ge(1),
        help="Maximum number of votes per micro-batch; limits a restart from the beginning.",
    )
    shuffle_partitions: int = ts.option(
        default=2,
        validator=attrs.validators.ge(1),
        help="Number of shuffle partitions; fixed by the first checkpoint.",
    )
    kafka_package: str = ts.option(
        default="org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0",
        help="Maven coordinates of Spark's Kafka connector; empty if it is already installed.",
    )
    class_archives: Path | None = ts.option(
        default=None,
        help="Directory for an archive of Java classes that halves Spark's start time; recorded at "
        "the end of a run if there is no matching one. Not used with spark-submit.",
    )
    heartbeat: Path | None = ts.option(default=None, help=HEARTBEAT_HELP)
    spark_conf: dict[str, str] = ts.option(
        factory=dict, help="Further Spark configuration, KEY=VALUE; may be repeated."
    )
