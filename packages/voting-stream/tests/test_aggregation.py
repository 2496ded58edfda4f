"""The totals, computed by a real Spark on a batch of votes."""

import json
from collections import Counter

import pytest
from pyspark.sql import Row, SparkSession

from voting_core.aggregates import check_total
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
    return record(json.dumps(value).encode(), partition, offset)


def record(
    value: bytes | None, partition: int, offset: int, topic_id: str | None = TOPIC_ID
) -> Row:
    """Return a record of votes_topic, with the header of a topic or without headers."""
    headers = None if topic_id is None else [Row(key="topic_id", value=topic_id.encode())]
    data = None if value is None else bytearray(value)
    return Row(value=data, headers=headers, partition=partition, offset=offset)


SCHEMA = (
    "value binary, headers array<struct<key: string, value: binary>>, partition int, offset long"
)
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
    return aggregates_of(spark, VOTES)


def aggregates_of(spark: SparkSession, votes: list[Row]) -> dict[str, dict[str, dict[str, object]]]:
    """Return the aggregates of a batch: topic → key → value."""
    rows = aggregate(spark.createDataFrame(votes, SCHEMA), TOPIC_ID).collect()
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


def test_foreign_records_are_skipped_and_counted(
    spark: SparkSession, records: dict[str, dict[str, dict[str, object]]]
) -> None:
    """Of other clients, of another topic of the name, and incomplete ones; in no other total."""
    good = json.loads(VOTES[0].value)
    times = (
        "yesterday",
        "2026-11-03 12:00:00",
        "2026-13-03T12:00:00.000Z",
        "",
        "2026-11-03T12:00:00.000Z\n",
        "0000-11-03T12:00:00.000Z",
    )
    foreign = [
        record(b"{}", 0, 0),
        record(None, 0, 1),
        record(b"\xff not JSON", 0, 2),
        record(bytes(VOTES[0].value), 0, 5, topic_id=None),
        record(bytes(VOTES[0].value), 1, 0, topic_id="another"),
        *(
            record(json.dumps({**good, name: None}).encode(), 1, 20 + number)
            for number, name in enumerate(good)
        ),
        record(json.dumps({**good, "age": "old"}).encode(), 1, 40),
        record(json.dumps({**good, "vote": 2}).encode(), 1, 41),
        *(
            record(json.dumps({**good, "voting_time": time}).encode(), 1, 50 + number)
            for number, time in enumerate(times)
        ),
        record(json.dumps([good]).encode(), 2, 7),
    ]
    found = aggregates_of(spark, [*VOTES, *foreign])
    progress = found.pop("aggregated_progress")
    assert found == {topic: rows for topic, rows in records.items() if topic in found}
    assert {
        key: (row["total_votes"], row["foreign_records"], row["first_foreign_offset"])
        for key, row in progress.items()
    } == {"0": (2, 4, 0), "1": (3, 1 + len(good) + 2 + len(times), 0), "2": (0, 1, 7)}
    for key, row in progress.items():
        check_total("aggregated_progress", key.encode(), row)


def test_every_total_is_what_readers_accept(
    records: dict[str, dict[str, dict[str, object]]],
) -> None:
    """Its key fits its fields, and no field is missing."""
    for topic, rows in records.items():
        for key, row in rows.items():
            check_total(topic, key.encode(), row)
