"""The stream's limit: a Spark query that only reads and parses the votes, with a checkpoint."""

import argparse

from pyspark.sql import functions as F

from peers.program import parse_options, write_result
from peers.spark import measured_batches, read_topic, start_spark

_VOTE = """
voter_id STRING, candidate_id STRING, candidate_name STRING, party_affiliation STRING,
state STRING, gender STRING, age INT, voting_time STRING, vote INT
"""


def main(options: argparse.Namespace) -> None:
    """Parse all votes of the topic, and count them."""
    spark = start_spark(options)
    votes = read_topic(spark, options).select(
        F.from_json(F.col("value").cast("string"), _VOTE).alias("vote"), "partition", "offset"
    )
    # Without it, Spark would not parse what nothing reads.
    parsed = votes.observe("parsed", F.count_if(F.col("vote.vote") == 1).alias("votes"))
    query = (
        parsed.writeStream.format("noop")
        .option("checkpointLocation", str(options.directory / "parse"))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    counted = sum(
        batch["observedMetrics"]["parsed"]["votes"]
        for batch in query.recentProgress
        if batch["numInputRows"]
    )
    write_result(options.result, counted=counted, **measured_batches([query]))
    spark.stop()


if __name__ == "__main__":
    main(parse_options(__doc__))
