"""The streaming query: votes_topic in, aggregate topics out."""

from pyspark.sql import SparkSession
from pyspark.sql.streaming import StreamingQuery

from voting_core import topics
from voting_stream.aggregation import aggregate
from voting_stream.settings import AVAILABLE_NOW, StreamSettings


def start_query(
    spark: SparkSession, settings: StreamSettings, votes_topic_id: str, checkpoint: str
) -> StreamingQuery:
    """Start the query, with a checkpoint directory for this topic that only this driver uses.

    After a crash the sink may write a total again. This is harmless because totals are absolute.
    """
    servers = settings.kafka.bootstrap_servers
    votes = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", servers)
        .option("subscribe", topics.VOTES.name)
        .option("startingOffsets", "earliest")
        .option("failOnDataLoss", "true")
        .option("kafka.isolation.level", "read_committed")
        .option("maxOffsetsPerTrigger", settings.max_offsets_per_trigger)
        .load()
    )
    writer = (
        aggregate(votes, votes_topic_id)
        .writeStream.queryName("voting-stream")
        .format("kafka")
        .option("kafka.bootstrap.servers", servers)
        .option("kafka.acks", "all")
        .option("checkpointLocation", checkpoint)
        .outputMode("update")
    )
    if settings.trigger == AVAILABLE_NOW:
        return writer.trigger(availableNow=True).start()
    return writer.trigger(processingTime=settings.trigger).start()
