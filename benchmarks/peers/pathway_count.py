"""Pathway counts the votes of each candidate, and publishes each changed total."""

import argparse
from collections import Counter
from time import time as now
from typing import Any

import pathway as pw

from peers.program import parse_options, write_result

# By default, the last votes would be committed after half a second without any.
COMMIT_MS = 50


class Vote(pw.Schema):  # type: ignore[misc]
    """The fields of a vote that are counted."""

    candidate_id: str
    vote: int


def main(options: argparse.Namespace) -> None:
    """Count a topic to its end.

    The time is that from the first commit to the one with the last vote, without the start of the
    engine; if everything is in the first commit, the start is included.
    """
    settings = {
        "bootstrap.servers": options.bootstrap_servers,
        "group.id": f"pathway-{options.output}",
        "auto.offset.reset": "earliest",
    }
    votes = pw.io.kafka.read(
        settings,
        topic=options.source,
        format="json",
        schema=Vote,
        mode="static",
        autocommit_duration_ms=COMMIT_MS,
    )
    counted = votes.groupby(votes.candidate_id).reduce(
        votes.candidate_id, total_votes=pw.reducers.sum(votes.vote)
    )
    totals: Counter[str] = Counter()

    def keep(key: Any, row: dict[str, Any], time: int, is_addition: bool) -> None:
        if is_addition:
            totals[row["candidate_id"]] = row["total_votes"]

    def committed(time: int) -> None:
        if totals.total() > commits[-1][1]:
            commits.append((now(), totals.total()))

    pw.io.kafka.write(counted, settings, options.output, format="json")
    pw.io.subscribe(counted, keep, on_time_end=committed)
    commits = [(now(), 0)]
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
    started_at, before = commits[1] if len(commits) > 2 else commits[0]
    ended_at, after = commits[-1]
    write_result(
        options.result,
        counted=totals.total(),
        votes=after - before,
        started_at=started_at,
        ended_at=ended_at,
        totals=totals,
    )


if __name__ == "__main__":
    main(parse_options(__doc__))
