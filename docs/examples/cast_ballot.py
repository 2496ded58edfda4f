"""Cast a ballot: `python cast_ballot.py [HOST:PORT]`.

Without an address, VOTING_KAFKA_BOOTSTRAP_SERVERS names the brokers.
"""

import json
import os
import sys

from confluent_kafka import KafkaException, Producer

servers = sys.argv[1] if len(sys.argv) > 1 else os.environ["VOTING_KAFKA_BOOTSTRAP_SERVERS"]
ballot = {
    "voter_id": "OH-000017",
    "voter_name": "Zoë Ångström",
    "date_of_birth": "1980-02-29",
    "gender": "female",
    "address": {"state": "Ohio"},
    "choice": "nora-fields",
}


def delivered(error, message):
    """Print where the ballot is stored, or raise the error; flush() raises it again."""
    if error is not None:
        raise KafkaException(error)
    print(f"{ballot['voter_id']}: partition {message.partition()}, offset {message.offset()}")


# The partitioner of Kafka's Java clients: all ballots of a voter are on one partition.
config = {"enable.idempotence": True, "partitioner": "murmur2_random"}
producer = Producer({"bootstrap.servers": servers, **config})
producer.produce("voters_topic", json.dumps(ballot), ballot["voter_id"], on_delivery=delivered)
sys.exit(1 if producer.flush(30) else 0)
