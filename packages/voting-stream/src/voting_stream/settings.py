"""Settings of the stream."""

from pathlib import Path

import attrs
import typed_settings as ts

from voting_core.service.health import HEARTBEAT_HELP
from voting_core.service.settings import KafkaSettings, LogSettings

__all__ = ["AVAILABLE_NOW", "StreamSettings"]

AVAILABLE_NOW = "available-now"


@attrs.frozen
class StreamSettings:
    """Where the votes come from, and how Spark runs."""

    kafka: KafkaSettings = ts.option(factory=KafkaSettings)
    log: LogSettings = ts.option(factory=LogSettings)
    master: str | None = ts.option(
        default=None,
        help="Spark master: local[N], spark://host:port, k8s://…; by default that of spark-submit "
        "where it is used, else local[*].",
    )
    checkpoint: str = ts.option(
        default="voting-checkpoint",
        help="Directory of the checkpoint; a URL of shared storage on a cluster.",
    )
    trigger: str = ts.option(
        default="1 second",
        help=f"Interval between counts, such as '1 second', or '{AVAILABLE_NOW}': count what is "
        "there, then end.",
    )
    max_offsets_per_trigger: int = ts.option(
        default=1_000_000,
        validator=attrs.validators.ge(1),
        help="Most votes to count at a time; bounds a restart from the beginning.",
    )
    shuffle_partitions: int = ts.option(
        default=2,
        validator=attrs.validators.ge(1),
        help="Parallel parts of the totals; fixed with the first checkpoint.",
    )
    kafka_package: str = ts.option(
        default="org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0",
        help="Maven coordinates of Spark's Kafka connector; empty when it is installed already.",
    )
    class_archives: Path | None = ts.option(
        default=None,
        help="Directory for an archive of Java classes with which Spark starts in half the time; "
        "recorded when a run ends and there is none that fits. spark-submit does without.",
    )
    heartbeat: Path | None = ts.option(default=None, help=HEARTBEAT_HELP)
    spark_conf: dict[str, str] = ts.option(
        factory=dict, help="More Spark configuration, KEY=VALUE; may be repeated."
    )
