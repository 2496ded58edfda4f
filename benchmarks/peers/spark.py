"""A Spark session for the programs that use Spark, and the times of a query's batches."""

import argparse
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

__all__ = ["measured_batches", "read_topic", "start_spark"]


def start_spark(options: argparse.Namespace, *, cores: str = "*") -> SparkSession:
    """Start Spark as `voting-stream run` does by default."""
    return (
        SparkSession.builder.appName("benchmark")
        .master(f"local[{cores}]")
        .config("spark.driver.extraJavaOptions", options.java_options)
        .config("spark.jars.packages", options.kafka_package)
        .config("spark.sql.shuffle.partitions", 2)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )


def read_topic(spark: SparkSession, options: argparse.Namespace) -> DataFrame:
    """Return the records of the source topic from its beginning, as the stream reads them."""
    reader = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", options.bootstrap_servers)
        .option("subscribe", options.source)
        .option("startingOffsets", "earliest")
        .option("failOnDataLoss", "true")
        .option("kafka.isolation.level", "read_committed")
        .option("includeHeaders", "true")
    )
    if options.batch:
        reader = reader.option("maxOffsetsPerTrigger", options.batch)
    return reader.load()


def measured_batches(queries: Sequence[StreamingQuery]) -> dict[str, Any]:
    """Return the votes that queries counted after their first batch, and when.

    In the first batch, Java still compiles. Each query counts every vote; the time is over when
    the last one has ended.
    """
    started, ended, votes = [], [], []
    for query in queries:
        batches = [batch for batch in query.recentProgress if batch["numInputRows"]]
        started.append(_end(batches[0]))
        ended.append(_end(batches[-1]))
        votes.append(sum(batch["numInputRows"] for batch in batches[1:]))
    return {"started_at": max(started), "ended_at": max(ended), "votes": min(votes)}


def _end(batch: Any) -> float:
    start = datetime.fromisoformat(batch["timestamp"])
    milliseconds: int = batch["durationMs"]["triggerExecution"]
    return start.timestamp() + milliseconds / 1000
