"""The streaming query: votes_topic in, aggregate topics out."""

from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql.streaming import StreamingQuery

from voting_core import topics
from voting_stream.aggregation import aggregate
from voting_stream.settings import AVAILABLE_NOW, REAL_TIME, StreamSettings


def start_query(
    spark: SparkSession,
    settings: StreamSettings,
    votes_topic_id: str,
    checkpoint: str,
    trigger: str,
) -> StreamingQuery:
    """Start the query, with a checkpoint directory for this topic that only this driver uses.

    After a crash the sink may write a total again. This is harmless because totals are absolute.

    Args:
        spark: Runs it.
        settings: Those of the stream; `trigger` takes the place of theirs.
        votes_topic_id: Id of `votes_topic`.
        checkpoint: Directory of the checkpoint; queries of all triggers continue it.
        trigger: As in the settings.
    """
    servers = settings.kafka.bootstrap_servers
    reader = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", servers)
        .option("subscribe", topics.VOTES.name)
        .option("startingOffsets", "earliest")
        .option("failOnDataLoss", "true")
        .option("kafka.isolation.level", "read_committed")
        .option("includeHeaders", "true")
    )
    if trigger != REAL_TIME:
        reader = reader.option("maxOffsetsPerTrigger", settings.max_offsets_per_trigger)
    writer = (
        aggregate(reader.load(), votes_topic_id)
        .writeStream.queryName("voting-stream")
        .format("kafka")
        .option("kafka.bootstrap.servers", servers)
        .option("kafka.acks", "all")
        .option("checkpointLocation", checkpoint)
        .outputMode("update")
    )
    return writer.trigger(**_trigger(settings, trigger)).start()


def _trigger(settings: StreamSettings, trigger: str) -> dict[str, Any]:
    if trigger == AVAILABLE_NOW:
        return {"availableNow": True}
    if trigger == REAL_TIME:
        return {"realTime": settings.checkpoint_interval}
    return {"processingTime": trigger}
