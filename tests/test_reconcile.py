"""Reconciling on real Kafka and PostgreSQL: every fault is found, in-flight records are none.

The aggregates are written by the tests themselves, in the stream's format.
"""

import json
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest
from confluent_kafka import Producer

from testkit.consumer_faults import kill_consumer
from testkit.election import Election
from testkit.paths import SCRIPTS
from testkit.sample_ballots import CANDIDATES, send_ballots
from voting_core import topics
from voting_core.database.voter_register import add_candidates, add_voters
from voting_core.kafka import delete_topics, position, read_to_end, topic_ids
from voting_core.models import Address, Voter
from voting_core.operator.reconcile import Reconciliation, RecountRules, reconcile
from voting_core.operator.setup import set_up_election
from voting_core.rules import PollingHours, age_band
from voting_core.serialization import compound_key
from voting_core.service.settings import DrawSettings

RULES = RecountRules(DrawSettings(), PollingHours())
Totals = Counter[tuple[str, bytes, tuple[tuple[str, Any], ...]]]


def forty_voters() -> list[Voter]:
    """Registered voters: every tenth is under age, every fifth leaves the choice to the draw."""
    return [
        Voter(
            voter_id=f"v{number:02}",
            voter_name=f"Voter {number}",
            date_of_birth=date(2020 if number % 10 == 9 else 1980, 2, 29),
            gender=("female", "male")[number % 2],
            address=Address(f"State {number % 3}"),
            choice=None if number % 5 == 0 else ("ada", "bob")[number % 2],
        )
        for number in range(40)
    ]


def write_totals(election: Election, *, votes: int | None = None) -> None:
    """Write the totals of votes_topic, or of its first votes, in the stream's format."""
    votes_topic_id = topic_ids(election.admin, [topics.VOTES])[topics.VOTES.name]
    totals: Totals = Counter()
    last: dict[int, int] = {}
    messages = list(read_to_end(election.kafka, election.admin, topics.VOTES.name))
    for message in messages[:votes]:
        vote = json.loads(message.value() or b"")
        partition, last[partition] = position(message)
        minute = f"{vote['voting_time'][:16]}:00Z"
        who, where, band = vote["candidate_id"], vote["state"], age_band(vote["age"])
        named = {name: vote[name] for name in ("candidate_name", "party_affiliation")}
        for topic, key, fields in (
            (topics.VOTES_PER_CANDIDATE, who.encode(), {"candidate_id": who, **named}),
            (topics.TURNOUT_BY_LOCATION, where.encode(), {"state": where}),
            (
                topics.VOTES_PER_CANDIDATE_BY_LOCATION,
                compound_key(where, who),
                {"state": where, "candidate_id": who},
            ),
            (
                topics.TURNOUT_BY_DEMOGRAPHIC,
                compound_key("gender", vote["gender"]),
                {"dimension": "gender", "value": vote["gender"]},
            ),
            (
                topics.TURNOUT_BY_DEMOGRAPHIC,
                compound_key("age_band", band),
                {"dimension": "age_band", "value": band},
            ),
            (
                topics.VOTES_OVER_TIME,
                compound_key(minute, who),
                {"minute": minute, "candidate_id": who},
            ),
            (topics.AGGREGATED_PROGRESS, b"%d" % partition, {"partition": partition}),
        ):
            totals[topic.name, key, tuple(fields.items())] += 1
    for (topic_name, key, columns), total in totals.items():
        row = {**dict(columns), "total_votes": total, "votes_topic_id": votes_topic_id}
        if topic_name == topics.AGGREGATED_PROGRESS.name:
            row["last_offset"] = last[row["partition"]]
        append(election, topic_name, key, row)


def append(election: Election, topic: str, key: bytes, value: Mapping[str, Any] | bytes) -> None:
    """Put a record on a topic, as any client with write access can."""
    producer = Producer({"bootstrap.servers": election.kafka.bootstrap_servers})
    producer.produce(topic, value if isinstance(value, bytes) else json.dumps(value), key)
    assert producer.flush(30) == 0


def records(election: Election, topic: topics.TopicSpec) -> list[tuple[bytes, dict[str, Any]]]:
    """The records of a topic, each as key and value."""
    messages = read_to_end(election.kafka, election.admin, topic.name)
    return [(m.key() or b"", json.loads(m.value() or b"")) for m in messages]


@pytest.fixture
def counted(election: Election) -> Election:
    """A completely counted election: 36 votes, 6 rejections, 42 records."""
    add_candidates(election.conn, CANDIDATES)
    add_voters(election.conn, forty_voters())
    send_ballots(election, [*forty_voters(), b"\xff not JSON \x00", forty_voters()[0]])
    election.consume()
    write_totals(election)
    return election


def reconciled(election: Election, recount: RecountRules | None = None) -> Reconciliation:
    """The result of reconciling in this process."""
    return reconcile(election.kafka, election.admin, election.conn, recount=recount, timeout=0.2)


def differences(
    election: Election, recount: RecountRules | None = None
) -> dict[str, dict[str, int]]:
    """The numbers of each figure that disagrees."""
    return {each.figure: dict(each.found) for each in reconciled(election, recount).differences}


def test_a_counted_election_agrees_everywhere(counted: Election) -> None:
    """Nothing differs, nothing is in flight, the recount agrees, no temporary table remains."""
    done = counted.run("voting", "reconcile", "--deep", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["agrees"] is True
    assert verdict["differences"] == []
    assert not any(verdict["in_flight"].values())
    counts = verdict["counts"]
    assert counts["voters_topic"]["records"] == 42
    for store in ("postgres", "votes_topic", "aggregates", "recount"):
        assert counts[store]["votes"] == 36, store
        assert counts[store]["candidates"] == counts["postgres"]["candidates"]
    for store in ("postgres", "rejected_votes_topic", "recount"):
        assert counts[store]["rejected"] == {"already_voted": 1, "malformed": 1, "underage": 4}
    reconciled(counted)
    assert counted.conn.execute(
        "SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relname"
        " ~ 'staged|watermarks|mism'"
    ).fetchone() == (0,)


def test_changed_tables_are_found(counted: Election) -> None:
    """A vote or rejection that is deleted or changed in the database is named with its numbers."""
    conn = counted.conn

    def with_change(sql: str) -> dict[str, dict[str, int]]:
        conn.execute("CREATE TABLE kept_votes AS TABLE votes")
        conn.execute("CREATE TABLE kept_rejections AS TABLE rejections")
        try:
            assert conn.execute(sql.encode()).rowcount == 1
            return differences(counted)
        finally:
            conn.execute("TRUNCATE votes, rejections")
            conn.execute("INSERT INTO votes SELECT * FROM kept_votes")
            conn.execute("INSERT INTO rejections SELECT * FROM kept_rejections")
            conn.execute("DROP TABLE kept_votes, kept_rejections")

    deleted = with_change("DELETE FROM votes WHERE voter_id = 'v01'")
    assert deleted["voter v01"] == {"postgres": 0, "votes_topic": 1}
    assert deleted["votes"] == {"postgres": 35, "votes_topic": 36, "aggregates": 36}
    assert deleted["location State 1"] == {"postgres": 11, "votes_topic": 12, "aggregates": 12}
    assert sum(figure.startswith("records of voters_topic") for figure in deleted) == 1

    voter = "FROM votes WHERE voter_id = 'v01'"
    (before,) = conn.execute(f"SELECT count(*) {voter}".encode()).fetchone() or (0,)
    assert before == 1
    changes = {
        "candidate_id = 'ada'": "candidate ada",
        "state = 'Moved'": "location Moved",
        "gender = 'female'": "demographic gender, female",
        "age = 70": "demographic age_band, 65+",
        "voting_time = '2020-01-01T00:00:00Z'": "minute and candidate 2020-01-01T00:00:00Z, bob",
    }
    for change, figure in changes.items():
        changed = with_change(f"UPDATE votes SET {change} WHERE voter_id = 'v01'")
        assert changed["voter v01"] == {"postgres": 1, "votes_topic": 1}
        assert changed[figure]["postgres"] == changed[figure]["votes_topic"] + 1, change

    dropped = with_change("DELETE FROM rejections WHERE reason = 'malformed'")
    assert dropped["rejected: malformed"] == {"postgres": 0, "rejected_votes_topic": 1}
    assert {"postgres": 0, "rejected_votes_topic": 1} in [
        numbers for figure, numbers in dropped.items() if figure.startswith("rejection of record")
    ]
    assert {"voters_topic": 1, "postgres": 0} in [
        numbers for figure, numbers in dropped.items() if figure.startswith("record ")
    ]
    relabelled = with_change("UPDATE rejections SET reason = 'odd' WHERE reason = 'malformed'")
    assert relabelled["rejected: odd"] == {"postgres": 1, "rejected_votes_topic": 0}

    moved = with_change("UPDATE votes SET source_offset = 99999 WHERE voter_id = 'v01'")
    assert {"voters_topic": 0, "postgres": 1} in [
        numbers for figure, numbers in moved.items() if "@99999" in figure
    ]
    foreign = with_change("UPDATE votes SET source_topic_id = 'gone' WHERE voter_id = 'v01'")
    assert any(figure.startswith("decision on record gone") for figure in foreign)
    twice = with_change(
        "INSERT INTO rejections SELECT source_topic_id, source_partition, source_offset, voter_id,"
        f" 'underage', '', now(), 0, '', '' {voter}"
    )
    assert {"postgres": 2, "allowed": 1} in [
        numbers for figure, numbers in twice.items() if figure.startswith("decisions on record")
    ]
    assert differences(counted) == {}


def test_forged_records_on_the_log_topics_are_found(counted: Election) -> None:
    """A repeated vote, one of an unknown voter, an unreadable one and a false name are named."""
    key, vote = next(r for r in records(counted, topics.VOTES) if r[0] == b"v01")
    append(counted, topics.VOTES.name, key, vote)
    assert differences(counted)["records of voter v01"] == {"votes_topic": 2, "allowed": 1}
    append(counted, topics.VOTES.name, b"ghost", vote | {"voter_id": "ghost"})
    assert differences(counted)["voter ghost"] == {"postgres": 0, "votes_topic": 1}
    append(counted, topics.VOTES.name, key, vote | {"candidate_name": "Eve"})
    assert differences(counted)["candidate bob as 'Eve', ''"] == {"votes_topic": 1, "allowed": 0}
    for faulty in (b"{", b"[]", b'{"voter_id": "x\\u0000"}', {**vote, "age": 2**40}):
        append(counted, topics.VOTES.name, key, faulty)
    append(counted, topics.VOTES.name, key, vote | {"voting_time": "yesterday"})
    unreadable = [
        each for each in reconciled(counted).differences if each.figure.startswith("record ")
    ]
    assert len(unreadable) == 5
    assert all(each.found == {"votes_topic": 1, "allowed": 0} for each in unreadable)

    key, rejection = records(counted, topics.REJECTED_VOTES)[0]
    append(counted, topics.REJECTED_VOTES.name, key, rejection)
    assert {"rejected_votes_topic": 2, "allowed": 1} in differences(counted).values()


def test_forged_totals_are_found(counted: Election) -> None:
    """A lower last total, a raised one, and a false name of a candidate are each named."""
    name = topics.VOTES_PER_CANDIDATE.name
    _, ada = next(r for r in records(counted, topics.VOTES_PER_CANDIDATE) if r[0] == b"ada")
    total = ada["total_votes"]
    append(counted, name, b"ada", ada | {"total_votes": total - 1})
    assert differences(counted) == {
        f"{name}, key ada": {"last total": total - 1, "highest total": total}
    }
    append(counted, name, b"ada", ada)
    assert differences(counted) == {}
    append(counted, topics.TURNOUT_BY_LOCATION.name, b"{", b"{")
    assert differences(counted) == {"unreadable total": {"aggregates": 1, "allowed": 0}}
    append(counted, name, b"ada", ada | {"total_votes": total + 1, "candidate_name": "Eve"})
    raised = differences(counted)
    assert raised["candidate ada"] == {
        "postgres": total,
        "votes_topic": total,
        "aggregates": total + 1,
    }
    assert raised["candidate ada as 'Eve', ''"] == {"aggregates": 1, "allowed": 0}

    done = counted.run("voting", "reconcile", "--timeout=0.2")
    assert done.returncode == 1, done.stderr
    assert re.search(rf"candidate ada +│ +{total} │ +{total} │ +{total + 1} ", done.stdout)
    assert "DISAGREE" in done.stdout
    as_json = counted.run("voting", "reconcile", "--json", "--timeout=0.2")
    assert as_json.returncode == 1
    assert json.loads(as_json.stdout)["agrees"] is False


@pytest.mark.parametrize("tallied", [0, 20])
def test_votes_that_are_not_tallied_are_in_flight(election: Election, tallied: int) -> None:
    """Published votes that no total counts yet are reported as in flight, with exit code 0."""
    add_candidates(election.conn, CANDIDATES)
    add_voters(election.conn, forty_voters())
    send_ballots(election, forty_voters())
    election.consume()
    write_totals(election, votes=tallied)
    done = election.run("voting", "reconcile", "--json")
    assert done.returncode == 0, done.stdout
    verdict = json.loads(done.stdout)
    assert verdict["in_flight"] == {
        "records": 0,
        "votes": 0,
        "rejections": 0,
        "untallied": 36 - tallied,
        "writing": False,
    }
    assert verdict["counts"]["aggregates"]["votes"] == tallied
    # A wrong total is found even while votes are in flight.
    _, total = records(election, topics.VOTES)[0]
    election.conn.execute("DELETE FROM votes WHERE voter_id = %s", (total["voter_id"],))
    assert f"voter {total['voter_id']}" in differences(election)


def test_decisions_that_are_not_published_are_in_flight(election: Election) -> None:
    """Undecided records, and decisions of a consumer killed before publishing, are in flight."""
    add_candidates(election.conn, CANDIDATES)
    add_voters(election.conn, forty_voters())
    send_ballots(election, forty_voters())
    waiting = reconciled(election)
    assert waiting.agrees
    assert waiting.in_flight.records == 40
    kill_consumer(election, "decisions committed")
    decided = reconciled(election, RULES)
    assert decided.agrees, decided.differences
    assert decided.in_flight.votes + decided.in_flight.rejections > 0
    election.consume()
    write_totals(election)
    assert not reconciled(election, RULES).in_flight

    delete_topics(election.admin, [topics.VOTES])
    set_up_election(election.admin, election.conn, partitions=2)
    lost = reconciled(election)
    assert lost.agrees, lost.differences
    assert lost.in_flight.votes == 36


def test_a_recount_by_the_rules_finds_wrong_decisions(counted: Election) -> None:
    """Decisions that contradict the ballots, the register or the rules are named."""
    conn = counted.conn
    (position_text,) = conn.execute(
        "SELECT source_partition || '@' || source_offset FROM votes WHERE voter_id = 'v01'"
    ).fetchone() or ("",)
    ballot = f"record {position_text} by voter v01"

    conn.execute("UPDATE voters SET date_of_birth = '2020-01-01' WHERE voter_id = 'v01'")
    underage = differences(counted, RULES)
    assert underage[f"vote of {ballot}"] == {"postgres": 1, "recount": 0}
    assert underage["votes"] == {"postgres": 36, "recount": 35}
    conn.execute("UPDATE voters SET date_of_birth = '1980-02-29' WHERE voter_id = 'v01'")
    assert differences(counted, RULES) == {}

    conn.execute("UPDATE votes SET candidate_id = 'ada' WHERE voter_id = 'v01'")
    assert differences(counted, RULES)[f"vote of {ballot}"] == {"postgres": 1, "recount": 1}
    conn.execute("UPDATE votes SET candidate_id = 'bob' WHERE voter_id = 'v01'")

    conn.execute("UPDATE rejections SET reason = 'already_voted' WHERE voter_id = 'v09'")
    assert {"postgres": 1, "recount": 1} in [
        numbers
        for figure, numbers in differences(counted, RULES).items()
        if figure.startswith("rejection of record") and figure.endswith("by voter v09")
    ]
    conn.execute("UPDATE rejections SET reason = 'underage' WHERE voter_id = 'v09'")

    # Rejected though valid: the counts of tables and topics alone would not show why.
    conn.execute(
        "WITH gone AS (DELETE FROM votes WHERE voter_id = 'v01' RETURNING *)"
        " INSERT INTO rejections SELECT source_topic_id, source_partition, source_offset,"
        " voter_id, 'already_voted', '', voting_time, 0, '', '' FROM gone"
    )
    wrongly_rejected = reconciled(counted, RULES)
    assert {(d.figure, d.detail) for d in wrongly_rejected.differences} >= {
        (f"vote of {ballot}", "the voter has a valid ballot and no vote"),
        (f"rejection of {ballot}", "already_voted in postgres, a valid vote recounted"),
    }


def test_a_recount_applies_the_rules_it_is_given(counted: Election) -> None:
    """With another seed of the draw, or other polling hours, the recount differs."""
    drawn = differences(counted, RecountRules(DrawSettings(seed="another"), PollingHours()))
    voters = [figure.rpartition(" ")[2] for figure in drawn if figure.startswith("vote of record")]
    assert voters
    assert all(int(voter[1:]) % 5 == 0 for voter in voters)
    closed = RecountRules(DrawSettings(), PollingHours(close=datetime(2000, 1, 1, tzinfo=UTC)))
    outside = reconciled(counted, closed)
    assert outside.rejected["recount"] == {"malformed": 1, "outside_hours": 41}
    assert outside.omitted["recounted vote"] == 16


def test_any_valid_ballot_may_be_the_one_that_counts(counted: Election) -> None:
    """Of two ballots of a voter the recount takes the one that the stored vote names."""
    conn = counted.conn
    first, second = (
        conn.execute(
            f"SELECT source_topic_id, source_partition, source_offset, {time} FROM {table}"
            " WHERE voter_id = 'v00'".encode()
        ).fetchone()
        for table, time in (("votes", "voting_time"), ("rejections", "record_time"))
    )
    coordinates = "source_topic_id = %s, source_partition = %s, source_offset = %s"
    conn.execute(f"UPDATE votes SET {coordinates}, voting_time = %s WHERE voter_id = 'v00'", second)
    conn.execute(
        f"UPDATE rejections SET {coordinates}, record_time = %s WHERE voter_id = 'v00'", first
    )
    exchanged = reconciled(counted, RULES)
    assert not any("recount" in each.found for each in exchanged.differences)
    assert exchanged.counts["recount"].votes == 36


def test_watch_repeats_the_check_until_interrupted(counted: Election) -> None:
    """It prints a line each time while everything agrees; an interrupt ends it with exit code 0."""
    with subprocess.Popen(
        [SCRIPTS / "voting", "reconcile", "--watch", "0.1"],
        env=counted.environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as watching:
        try:
            assert watching.stdout is not None
            for _ in range(2):
                assert watching.stdout.readline().endswith(
                    "42 records, 36 votes, 6 rejections: voters_topic, postgres, votes_topic, "
                    "aggregates, rejected_votes_topic agree\n"
                )
            watching.send_signal(signal.SIGINT)
            assert watching.wait(30) == 0
        finally:
            watching.kill()
