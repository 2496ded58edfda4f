"""The consumer's limit: look up the voters of each batch and insert their votes, without Kafka.

The votes are those that the consumer decided before, in batches of the most that it takes; the
tables, keys and constraints are the election's own.
"""

import argparse
import time
from collections import Counter
from typing import Any

import psycopg

from peers.program import parse_options, write_result

_FIND = "SELECT voter_id, date_of_birth, gender, address_state FROM voters WHERE voter_id = ANY(%b)"
_INSERT = (
    "INSERT INTO votes (voter_id, candidate_id, voting_time, state, gender, age,"
    " source_topic_id, source_partition, source_offset)"
    " SELECT * FROM unnest(%b::text[], %b::text[], %b::timestamptz[], %b::text[], %b::text[],"
    " %b::integer[], %b::text[], %b::integer[], %b::bigint[]) AS vote (voter_id)"
    " ORDER BY voter_id ON CONFLICT (voter_id) DO NOTHING"
    " RETURNING voter_id, candidate_id, voting_time, state, gender, age, source_partition,"
    " source_offset"
)


Columns = list[list[Any]]


def read_batches(conn: psycopg.Connection, *, warm_up: bool, size: int) -> list[Columns]:
    """Return the kept votes in batches, each as a list of its columns."""
    votes = conn.execute(
        "SELECT voter_id, candidate_id, voting_time, state, gender, age, source_topic_id,"
        " source_partition, source_offset FROM bench.votes WHERE warm_up = %s"
        " ORDER BY source_offset, source_partition",
        (warm_up,),
    ).fetchall()
    return [
        [list(column) for column in zip(*votes[start : start + size], strict=True)]
        for start in range(0, len(votes), size)
    ]


def insert(conn: psycopg.Connection, batch: Columns) -> list[tuple[Any, ...]]:
    """Look up the voters of a batch, insert its votes and return what was inserted."""
    with conn.transaction():
        found = conn.execute(_FIND, (batch[0],)).fetchall()
        assert len(found) == len(batch[0]), "a voter is not registered"
        return conn.execute(_INSERT, batch).fetchall()


def main(options: argparse.Namespace) -> None:
    """Insert the votes; reading them and the warm-up are not timed."""
    with psycopg.connect(options.database_url, autocommit=True, prepare_threshold=None) as conn:
        warm_up = read_batches(conn, warm_up=True, size=options.batch)
        batches = read_batches(conn, warm_up=False, size=options.batch)
        before = [insert(conn, batch) for batch in warm_up]
        started_at = time.time()
        inserted = [insert(conn, batch) for batch in batches]
        ended_at = time.time()
    totals = Counter(row[1] for rows in (*before, *inserted) for row in rows)
    write_result(
        options.result,
        counted=sum(map(len, inserted)),
        started_at=started_at,
        ended_at=ended_at,
        totals=totals,
    )


if __name__ == "__main__":
    main(parse_options(__doc__))
