"""The tables, topics and programs of the services that handle one voter at a time."""

import contextlib
from collections.abc import Iterator

from bench.context import Context
from bench.totals import await_condition
from bench.workload import bench_topic
from voting_core.kafka import create_topics, delete_topics

__all__ = ["TOTALS", "VOTERS", "VOTES", "begin", "local_api", "voter_count"]

VOTERS = "one_by_one_voters_topic"
VOTES = "one_by_one_votes_topic"
TOTALS = "one_by_one_totals"
_TOPICS = [bench_topic(name) for name in (VOTERS, VOTES, TOTALS, f"{TOTALS}_by_state")]

_TABLES = """
DROP SCHEMA IF EXISTS one_by_one CASCADE;
CREATE SCHEMA one_by_one;
CREATE TABLE one_by_one.voters (
    voter_id text PRIMARY KEY, voter_name text, date_of_birth text, gender text, nationality text,
    registration_number text, address_street text, address_city text, address_state text,
    address_country text, address_postcode text, email text, phone_number text, picture text,
    registered_age integer
);
CREATE TABLE one_by_one.votes (
    voter_id text UNIQUE, candidate_id text, voting_time timestamp, vote integer DEFAULT 1,
    PRIMARY KEY (voter_id, candidate_id)
);
"""


def begin(context: Context) -> None:
    """Begin with empty tables and topics."""
    bench = context.bench
    bench.conn.execute(_TABLES)
    delete_topics(bench.admin, _TOPICS)
    create_topics(bench.admin, _TOPICS, partitions=1, replication=1)


def voter_count(context: Context) -> int:
    """Return the number of stored voters."""
    row = context.bench.conn.execute("SELECT count(*) FROM one_by_one.voters").fetchone()
    assert row is not None
    return int(row[0])


@contextlib.contextmanager
def local_api(context: Context) -> Iterator[str]:
    """Run the API that invents voters, and yield its address."""
    address = context.new_directory("api") / "address"
    child = context.bench.start(context.program("peers.one_by_one_api", result=address))
    try:
        await_condition("the API answers", address.exists, check=child.check, timeout=60)
        yield address.read_text(encoding="utf-8")
    finally:
        child.stop()
