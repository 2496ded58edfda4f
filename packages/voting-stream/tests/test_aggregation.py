"""The totals, computed by a real Spark on a batch of votes."""

import json
from collections import Counter

import pytest
from pyspark.sql import Row, SparkSession

from voting_stream.aggregation import aggregate

TOPIC_ID = "AAAAAAAAAAAAAAAAAAAAAA"


def vote(
    candidate: str, state: str, gender: str, age: int, minute: str, partition: int, offset: int
) -> Row:
    """Return a record of votes_topic."""
    value = {
        "voter_id": f"{partition}-{offset}",
        "candidate_id": candidate,
        "candidate_name": candidate.title(),
        "party_affiliation": "",
        "state": state,
        "gender": gender,
        "age": age,
        "voting_time": f"2026-11-03T{minute}:31.250Z",
        "vote": 1,
    }
    return Row(value=bytearray(json.dumps(value).encode()), partition=partition, offset=offset)


VOTES = [
    vote("ada", "Ohio", "female", 18, "09:59", 0, 3),
    vote("ada", "Ohio", "male", 24, "10:00", 0, 4),
    vote("ada", "Iowa", "female", 25, "10:00", 1, 7),
    vote("bob", "Ohio", "female", 64, "10:00", 1, 9),
    vote("bob", "NULL", "other", 65, "10:01", 1, 10),
]


@pytest.fixture(scope="module")
def records(spark: SparkSession) -> dict[str, dict[str, dict[str, object]]]:
    """The aggregates of VOTES: topic → key → value."""
    rows = aggregate(
        spark.createDataFrame(VOTES, "value binary, partition int, offset long"), TOPIC_ID
    ).collect()
    keys = Counter((row.topic, row.key) for row in rows)
    assert set(keys.values()) == {1}, "a key is written once in a batch"
    found: dict[str, dict[str, dict[str, object]]] = {}
    for row in rows:
        found.setdefault(row.topic, {})[row.key] = json.loads(row.value)
    return found


def totals(rows: dict[str, dict[str, object]]) -> dict[str, object]:
    """Return the total of each key."""
    return {key: row["total_votes"] for key, row in rows.items()}


def test_counts_per_candidate(records: dict[str, dict[str, dict[str, object]]]) -> None:
    """Each candidate has one record, with the name; an empty party stays empty."""
    rows = records["aggregated_votes_per_candidate"]
    assert rows["ada"] == {
        "candidate_id": "ada",
        "candidate_name": "Ada",
        "party_affiliation": "",
        "total_votes": 3,
        "votes_topic_id": TOPIC_ID,
    }
    assert totals(rows) == {"ada": 3, "bob": 2}


def test_counts_per_location(records: dict[str, dict[str, dict[str, object]]]) -> None:
    """Locations are counted alone and by candidate, with compact compound keys."""
    assert totals(records["aggregated_turnout_by_location"]) == {"Ohio": 3, "Iowa": 1, "NULL": 1}
    rows = records["aggregated_votes_per_candidate_by_location"]
    assert totals(rows) == {
        '["Ohio","ada"]': 2,
        '["Iowa","ada"]': 1,
        '["Ohio","bob"]': 1,
        '["NULL","bob"]': 1,
    }
    assert rows['["Ohio","ada"]'] == {
        "state": "Ohio",
        "candidate_id": "ada",
        "total_votes": 2,
        "votes_topic_id": TOPIC_ID,
    }


def test_counts_per_demographic_group(records: dict[str, dict[str, dict[str, object]]]) -> None:
    """Gender and age band share a topic and differ by dimension; bands begin at 25 and 65."""
    rows = records["aggregated_turnout_by_demographic"]
    assert totals(rows) == {
        '["gender","female"]': 3,
        '["gender","male"]': 1,
        '["gender","other"]': 1,
        '["age_band","18-24"]': 2,
        '["age_band","25-34"]': 1,
        '["age_band","55-64"]': 1,
        '["age_band","65+"]': 1,
    }
    assert rows['["gender","male"]'] == {
        "dimension": "gender",
        "value": "male",
        "total_votes": 1,
        "votes_topic_id": TOPIC_ID,
    }


def test_counts_per_minute(records: dict[str, dict[str, dict[str, object]]]) -> None:
    """Minutes are those of the voting time, in UTC, by candidate."""
    assert totals(records["aggregated_votes_over_time"]) == {
        '["2026-11-03T09:59:00Z","ada"]': 1,
        '["2026-11-03T10:00:00Z","ada"]': 2,
        '["2026-11-03T10:00:00Z","bob"]': 1,
        '["2026-11-03T10:01:00Z","bob"]': 1,
    }


def test_reports_the_last_offset_counted(records: dict[str, dict[str, dict[str, object]]]) -> None:
    """Progress holds the last offset counted and the number of votes of each partition."""
    assert records["aggregated_progress"] == {
        "0": {"partition": 0, "last_offset": 4, "total_votes": 2, "votes_topic_id": TOPIC_ID},
        "1": {"partition": 1, "last_offset": 10, "total_votes": 3, "votes_topic_id": TOPIC_ID},
    }
