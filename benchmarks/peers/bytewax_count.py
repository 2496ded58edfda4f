"""Bytewax counts the votes of each candidate, and publishes a total after each batch."""

import argparse
import json
import time
from collections import Counter
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSource
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from peers.program import Stopwatch, parse_options, write_result


class _Count(StatefulBatchLogic):  # type: ignore[misc]
    def __init__(self, total: int | None) -> None:
        self.total = total or 0

    def on_batch(self, values: list[int]) -> tuple[list[int], bool]:
        """Add the votes of a batch and emit the total."""
        self.total += sum(values)
        return [self.total], StatefulBatchLogic.RETAIN

    def snapshot(self) -> int:
        """Return what a restart would resume with."""
        return self.total


def main(options: argparse.Namespace) -> None:
    """Count a topic to its end."""
    stopwatch = Stopwatch()
    totals: Counter[str] = Counter()
    ended_at = 0.0

    def read(message: Any) -> tuple[str, int]:
        stopwatch.start()
        vote = json.loads(message.value)
        return vote["candidate_id"], vote["vote"]

    def publish(item: tuple[str, int]) -> KafkaSinkMessage[Any, Any]:
        nonlocal ended_at
        candidate_id, total = item
        totals[candidate_id] = total
        if totals.total() == options.expected:
            ended_at = time.time()
        record = {"candidate_id": candidate_id, "total_votes": total}
        return KafkaSinkMessage(candidate_id.encode(), json.dumps(record).encode())

    flow = Dataflow("votes")
    brokers = [options.bootstrap_servers]
    source = KafkaSource(brokers, [options.source], tail=False, batch_size=1000)
    messages = op.input("read", flow, source)
    votes = op.map("parse", messages, read)
    counted = op.stateful_batch("count", votes, _Count)
    kop.output("write", op.map("publish", counted, publish), brokers=brokers, topic=options.output)
    recovery = options.directory / "bytewax"
    recovery.mkdir()
    init_db_dir(recovery, 1)
    cli_main(flow, recovery_config=RecoveryConfig(recovery))
    write_result(
        options.result,
        counted=totals.total(),
        started_at=stopwatch.started_at,
        ended_at=ended_at or time.time(),
        totals=totals,
    )


if __name__ == "__main__":
    main(parse_options(__doc__))
