"""One record polled, one vote inserted with its commit, one record produced and flushed."""

import argparse
import json
import random
import time
from collections import Counter
from datetime import UTC, datetime

import psycopg
from confluent_kafka import Consumer, KafkaException, Producer

from peers.program import Stopwatch, parse_options, write_result


def main(options: argparse.Namespace) -> None:
    """Let each voter choose a candidate by chance, until the expected number has voted."""
    consumer = Consumer(
        {
            "bootstrap.servers": options.bootstrap_servers,
            "group.id": f"one-by-one-{options.output}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    producer = Producer({"bootstrap.servers": options.bootstrap_servers})
    stopwatch = Stopwatch()
    totals: Counter[str] = Counter()
    consumer.subscribe([options.source])
    with psycopg.connect(options.database_url) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT candidate_id, candidate_name, party_affiliation FROM candidates")
        candidates = cursor.fetchall()
        while not options.expected or totals.total() < options.expected:
            message = consumer.poll(timeout=1.0)
            if message is None:
                continue
            if (error := message.error()) is not None:
                raise KafkaException(error)
            stopwatch.start()
            voter = json.loads(message.value() or b"")
            candidate_id, name, party = random.choice(candidates)
            vote = {
                **voter,
                "candidate_id": candidate_id,
                "candidate_name": name,
                "party_affiliation": party,
                "voting_time": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"),
                "vote": 1,
            }
            cursor.execute(
                "INSERT INTO one_by_one.votes (voter_id, candidate_id, voting_time)"
                " VALUES (%s, %s, %s)",
                (vote["voter_id"], candidate_id, vote["voting_time"]),
            )
            conn.commit()
            producer.produce(options.output, json.dumps(vote), vote["voter_id"])
            producer.flush()
            totals[candidate_id] += 1
        ended_at = time.time()
    consumer.close()
    write_result(
        options.result,
        counted=totals.total(),
        started_at=stopwatch.started_at,
        ended_at=ended_at,
        totals=totals,
    )


if __name__ == "__main__":
    main(parse_options(__doc__))
