"""The producer's limit: COPY rows that are ready, and produce records that are ready.

A batch of records is sent once its rows are committed, while the rows of the next are copied.
"""

import argparse
import time
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from peers.program import parse_options, write_result

BATCH = 5000


def read_records(options: argparse.Namespace) -> list[tuple[bytes, bytes]]:
    """Return the first records of the source topic, which has one partition."""
    consumer = Consumer({"bootstrap.servers": options.bootstrap_servers, "group.id": "limit"})
    consumer.assign([TopicPartition(options.source, 0, 0)])
    records: list[tuple[bytes, bytes]] = []
    while len(records) < options.expected:
        for message in consumer.consume(10_000, timeout=0.1):
            if (error := message.error()) is not None:
                raise KafkaException(error)
            records.append((message.key() or b"", message.value() or b""))
    consumer.close()
    return records[: options.expected]


def main(options: argparse.Namespace) -> None:
    """Write the rows and the records; reading them before is not timed."""
    records = read_records(options)
    producer = Producer(
        {
            "bootstrap.servers": options.bootstrap_servers,
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 20,
            "queue.buffering.max.messages": 10 * BATCH,
        }
    )
    with (
        psycopg.connect(options.database_url) as conn,
        ThreadPoolExecutor(1, thread_name_prefix="copy") as copier,
    ):
        columns = [c.name for c in conn.execute("SELECT * FROM voters LIMIT 0").description or ()]
        names = ", ".join(columns)
        query = f"COPY (SELECT {names} FROM bench.voters WHERE number <= {options.rows}) TO STDOUT"
        with conn.cursor().copy(query.encode()) as ready:
            rows = [bytes(row) for row in ready]

        def copy(batch: list[bytes]) -> None:
            with conn.cursor().copy(f"COPY voters ({names}) FROM STDIN".encode()) as target:
                target.write(b"".join(batch))
            conn.commit()

        conn.commit()
        started_at = time.time()
        copied: Future[None] = copier.submit(copy, rows[:BATCH])
        sent = 0
        for end in range(BATCH, len(rows) + BATCH, BATCH):
            copied.result()
            copied = copier.submit(copy, rows[end : end + BATCH])
            share = len(records) * min(end, len(rows)) // len(rows)
            for key, value in records[sent:share]:
                while True:
                    try:
                        producer.produce(options.output, value, key)
                        break
                    except BufferError:
                        producer.poll(0.05)
            producer.poll(0)
            sent = share
        copied.result()
        producer.flush()
        ended_at = time.time()
    write_result(options.result, counted=sent, started_at=started_at, ended_at=ended_at)


if __name__ == "__main__":
    main(parse_options(__doc__))
