"""The streaming query: votes_topic in, aggregate topics out."""

from pyspark.sql import SparkSession
from pyspark.sql.streaming import StreamingQuery

from voting_core import topics
from voting_stream.settings import AVAILABLE_NOW, StreamSettings
from voting_stream.tally import tally

__all__ = ["start_query"]


def start_query(
    spark: SparkSession, settings: StreamSettings, votes_topic_id: str, checkpoint: str
) -> StreamingQuery:
    """Start counting.

    The sink may write a total again after a crash, which changes nothing: totals are absolute.

    Args:
        spark: The session.
        settings: Where Kafka is and how often to count.
        votes_topic_id: Id of the topic that is counted.
        checkpoint: Directory that belongs to this topic and to this driver alone.
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
        tally(votes, votes_topic_id)
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
