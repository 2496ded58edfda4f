"""Two Spark queries, each of which reads all votes: votes by candidate, and turnout by state."""

import argparse
import signal

from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from peers.program import parse_options, write_result
from peers.spark import measured_batches, read_topic, start_spark

_VOTE = """
voter_id STRING, candidate_id STRING, candidate_name STRING, party_affiliation STRING,
state STRING, address_state STRING, voting_time STRING, vote INT
"""


def main(options: argparse.Namespace) -> None:
    """Count what is there if a number is expected, else go on until stopped."""
    spark = start_spark(options)
    votes = (
        read_topic(spark, options)
        .select(F.from_json(F.col("value").cast("string"), _VOTE).alias("vote"))
        .select("vote.*")
        .withColumn("voting_time", F.col("voting_time").cast("timestamp"))
        .withWatermark("voting_time", "1 minute")
    )
    by_candidate = votes.groupBy("candidate_id", "candidate_name", "party_affiliation").agg(
        F.sum("vote").alias("total_votes")
    )
    by_state = votes.groupBy(F.coalesce("state", "address_state").alias("state")).agg(
        F.count("vote").alias("total_votes")
    )
    queries: list[StreamingQuery] = []
    for frame, topic in ((by_candidate, options.output), (by_state, f"{options.output}_by_state")):
        writer = (
            frame.select(F.to_json(F.struct("*")).alias("value"))
            .writeStream.format("kafka")
            .option("kafka.bootstrap.servers", options.bootstrap_servers)
            .option("topic", topic)
            .option("checkpointLocation", str(options.directory / topic))
            .outputMode("update")
        )
        if options.expected:
            writer = writer.trigger(availableNow=True)
        queries.append(writer.start())
    if not options.expected:
        signal.pause()
    for query in queries:
        query.awaitTermination()
    counted = sum(batch["numInputRows"] for batch in queries[0].recentProgress)
    # The totals by candidate are in the output topic.
    write_result(options.result, counted=counted, **measured_batches(queries))
    spark.stop()


if __name__ == "__main__":
    main(parse_options(__doc__))
