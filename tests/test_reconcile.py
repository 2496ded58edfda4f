"""Reconciling on real Kafka and PostgreSQL: every fault is found, in-flight records are none.

The aggregates are written by the tests themselves, in the stream's format.
"""

import json
import re
import signal
import subprocess
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import attrs
import pytest

from testkit.consumer_faults import kill_consumer
from testkit.election import Election
from testkit.paths import SCRIPTS
from testkit.sample_ballots import CANDIDATES, send_ballots
from testkit.totals import append, records, write_totals
from voting_core import topics
from voting_core.database.election import read_election
from voting_core.database.voter_register import add_candidates, add_voters
from voting_core.election import Election as RegisteredElection
from voting_core.election import ElectionMode
from voting_core.kafka import delete_topics, topic_ids
from voting_core.models import Address, Voter
from voting_core.operator.reconcile import Reconciliation, reconcile
from voting_core.rules import PollingHours


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


@pytest.fixture
def counted(election: Election) -> Election:
    """A completely counted election: 36 votes, 6 rejections, 42 records."""
    add_candidates(election.conn, CANDIDATES)
    add_voters(election.conn, forty_voters())
    send_ballots(election, [*forty_voters(), b"\xff not JSON \x00", forty_voters()[0]])
    election.consume()
    write_totals(election)
    return election


def rules(election: Election) -> RegisteredElection:
    """The election as the database describes it."""
    found = read_election(election.conn)
    assert found is not None
    return found


def reconciled(election: Election, recount: RegisteredElection | None = None) -> Reconciliation:
    """The result of reconciling in this process."""
    return reconcile(election.kafka, election.admin, election.conn, recount=recount, timeout=0.2)


def differences(
    election: Election, recount: RegisteredElection | None = None
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
    """A repeated vote, one of an unknown voter and one with a false name are each named.

    They have the header of the consumer's records, so they are no foreign records.
    """
    ids = topic_ids(counted.admin, [topics.VOTES, topics.REJECTED_VOTES])
    header = ids[topics.VOTES.name]
    key, vote = next(r for r in records(counted, topics.VOTES) if r[0] == b"v01")
    append(counted, topics.VOTES.name, key, vote, header=header)
    assert differences(counted)["records of voter v01"] == {"votes_topic": 2, "allowed": 1}
    append(counted, topics.VOTES.name, b"ghost", vote | {"voter_id": "ghost"}, header=header)
    assert differences(counted)["voter ghost"] == {"postgres": 0, "votes_topic": 1}
    append(counted, topics.VOTES.name, key, vote | {"candidate_name": "Eve"}, header=header)
    assert differences(counted)["candidate bob as 'Eve', ''"] == {"votes_topic": 1, "allowed": 0}

    key, rejection = records(counted, topics.REJECTED_VOTES)[0]
    header = ids[topics.REJECTED_VOTES.name]
    append(counted, topics.REJECTED_VOTES.name, key or None, rejection, header=header)
    assert {"rejected_votes_topic": 2, "allowed": 1} in differences(counted).values()


@pytest.mark.parametrize("topic", [topics.VOTES, topics.REJECTED_VOTES], ids=lambda t: t.name)
def test_foreign_records_on_a_log_topic_are_named(
    counted: Election, topic: topics.TopicSpec
) -> None:
    """Each by its position, the first 20 of them; they are counted nowhere else."""
    topic_id = topic_ids(counted.admin, [topic])[topic.name]
    key, value = next(each for each in records(counted, topic) if each[0])
    foreign: list[tuple[bytes | None, Mapping[str, Any] | bytes | None, str | None]] = [
        (key, value, None),
        (key, value, "the id of another topic"),
        (b"another key", value, topic_id),
        (None, None, topic_id),
        (key, b"{", topic_id),
        (key, b"[]", topic_id),
        (key, b"{}", topic_id),
        (key, {**value, "voter_id": "x\0"}, topic_id),
        (key, {**value, "age": 2**40, "size": 2**80}, topic_id),
        (key, {**value, "voting_time": "yesterday", "time": "yesterday"}, topic_id),
        *[(key, b"{}", None)] * 15,
    ]
    for each_key, each_value, header in foreign:
        append(counted, topic.name, each_key, each_value, header=header, partition=0)
    found = reconciled(counted)
    assert found.foreign.by_topic == {topic.name: len(foreign)}
    assert len(found.differences) == 20
    named = [each.figure for each in found.differences]
    assert named == sorted(named, key=lambda figure: int(re.split("[@ ]", figure)[2]))
    for each in found.differences:
        assert each.figure.startswith("record 0@")
        assert each.figure.endswith(f"of {topic.name}")
        assert each.found == {topic.name: 1, "allowed": 0}
    assert found.omitted == {"foreign record": 5}
    assert not found.in_flight


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
    assert differences(counted) == {
        f"record 0@3 of {topics.TURNOUT_BY_LOCATION.name}": {
            topics.TURNOUT_BY_LOCATION.name: 1,
            "allowed": 0,
        }
    }
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
    decided = reconciled(election, rules(election))
    assert decided.agrees, decided.differences
    assert decided.in_flight.votes + decided.in_flight.rejections > 0
    election.consume()
    write_totals(election)
    assert not reconciled(election, rules(election)).in_flight

    delete_topics(election.admin, [topics.VOTES])
    election.set_up()
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
    underage = differences(counted, rules(counted))
    assert underage[f"vote of {ballot}"] == {"postgres": 1, "recount": 0}
    assert underage["votes"] == {"postgres": 36, "recount": 35}
    conn.execute("UPDATE voters SET date_of_birth = '1980-02-29' WHERE voter_id = 'v01'")
    assert differences(counted, rules(counted)) == {}

    conn.execute("UPDATE votes SET candidate_id = 'ada' WHERE voter_id = 'v01'")
    assert differences(counted, rules(counted))[f"vote of {ballot}"] == {
        "postgres": 1,
        "recount": 1,
    }
    conn.execute("UPDATE votes SET candidate_id = 'bob' WHERE voter_id = 'v01'")

    conn.execute("UPDATE rejections SET reason = 'already_voted' WHERE voter_id = 'v09'")
    assert {"postgres": 1, "recount": 1} in [
        numbers
        for figure, numbers in differences(counted, rules(counted)).items()
        if figure.startswith("rejection of record") and figure.endswith("by voter v09")
    ]
    conn.execute("UPDATE rejections SET reason = 'underage' WHERE voter_id = 'v09'")

    # Rejected though valid: the counts of tables and topics alone would not show why.
    conn.execute(
        "WITH gone AS (DELETE FROM votes WHERE voter_id = 'v01' RETURNING *)"
        " INSERT INTO rejections SELECT source_topic_id, source_partition, source_offset,"
        " voter_id, 'already_voted', '', voting_time, 0, '', '' FROM gone"
    )
    wrongly_rejected = reconciled(counted, rules(counted))
    assert {(d.figure, d.detail) for d in wrongly_rejected.differences} >= {
        (f"vote of {ballot}", "the voter has a valid ballot and no vote"),
        (f"rejection of {ballot}", "already_voted in postgres, a valid vote recounted"),
    }


def test_a_recount_applies_the_rules_it_is_given(counted: Election) -> None:
    """With another seed of the draw, or other polling hours, the recount differs."""
    actual = rules(counted)

    def changed(**rule: Any) -> RegisteredElection:
        return attrs.evolve(actual, rules=attrs.evolve(actual.rules, **rule))

    drawn = differences(counted, changed(draw_seed="another"))
    voters = [figure.rpartition(" ")[2] for figure in drawn if figure.startswith("vote of record")]
    assert voters
    assert all(int(voter[1:]) % 5 == 0 for voter in voters)
    closed = changed(hours=PollingHours(close=datetime(2000, 1, 1, tzinfo=UTC)))
    outside = reconciled(counted, closed)
    assert outside.rejected["recount"] == {"malformed": 1, "outside_hours": 41}
    assert outside.omitted["recounted vote"] == 16
    live = reconciled(counted, attrs.evolve(actual, mode=ElectionMode.LIVE))
    assert live.rejected["recount"]["no_choice"] == 9
    later = attrs.evolve(actual, began_at=datetime(2100, 1, 1, tzinfo=UTC))
    assert reconciled(counted, later).rejected["recount"] == {"malformed": 42}
    older = reconciled(counted, changed(voting_age=50))
    assert older.rejected["recount"]["underage"] == 41


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
    exchanged = reconciled(counted, rules(counted))
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
