"""The latency's limit: a real-time Spark query that writes each record that it reads."""

import argparse
import signal
from typing import Any

from peers.program import parse_options
from peers.spark import read_topic, start_spark

# The tasks of a real-time query all run at once.
SLOTS = "8"
# PySpark declares no type for this trigger.
_TRIGGER: dict[str, Any] = {"realTime": "5 minutes"}


def main(options: argparse.Namespace) -> None:
    """Forward records until stopped."""
    spark = start_spark(options, cores=SLOTS)
    query = (
        read_topic(spark, options)
        .select("key", "value")
        .writeStream.format("kafka")
        .option("kafka.bootstrap.servers", options.bootstrap_servers)
        .option("kafka.acks", "all")
        .option("topic", options.output)
        .option("checkpointLocation", str(options.directory / "forward"))
        .outputMode("update")
        .trigger(**_TRIGGER)
        .start()
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        query.awaitTermination()
    except KeyboardInterrupt:
        query.stop()
    spark.stop()


if __name__ == "__main__":
    main(parse_options(__doc__))
