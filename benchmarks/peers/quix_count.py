"""Quix Streams counts the votes of each candidate, and publishes each total as it changes."""

import argparse
import time
import uuid
from collections import Counter
from typing import Any

from quixstreams import Application, State

from peers.program import Stopwatch, parse_options, write_result


def main(options: argparse.Namespace) -> None:
    """Count until the expected number is reached, or until stopped without one."""
    app = Application(
        broker_address=options.bootstrap_servers,
        consumer_group=f"quix-{uuid.uuid4()}",
        auto_offset_reset="earliest",
        state_dir=options.directory,
    )
    votes = app.topic(options.source, value_deserializer="json")
    output = app.topic(options.output, value_serializer="json")
    stopwatch = Stopwatch()
    totals: Counter[str] = Counter()
    ended_at = 0.0

    def begin(_: Any) -> None:
        stopwatch.start()

    def count(vote: dict[str, Any], state: State) -> dict[str, Any]:
        nonlocal ended_at
        total = state.get("total", 0) + vote["vote"]
        state.set("total", total)
        totals[vote["candidate_id"]] = total
        if totals.total() == options.expected:
            ended_at = time.time()
            app.stop()
        return {"candidate_id": vote["candidate_id"], "total_votes": total}

    frame = app.dataframe(votes).update(begin).group_by("candidate_id")
    frame.apply(count, stateful=True).to_topic(output)
    app.run()
    write_result(
        options.result,
        counted=totals.total(),
        started_at=stopwatch.started_at,
        ended_at=ended_at or time.time(),
        totals=totals,
    )


if __name__ == "__main__":
    main(parse_options(__doc__))
