"""The operator's commands among records and transactions of other clients."""

import json
import re
import uuid
from collections.abc import Iterator

import attrs
import pytest
from typed_settings import SecretStr

from testkit.election import Election
from testkit.operator_status import Status
from testkit.sample_ballots import CANDIDATES, assert_counted, sample_voters
from testkit.totals import append, records, write_totals
from testkit.transactions import begin_transaction, connect_transactional
from voting_core import topics
from voting_core.database.voter_register import add_candidates, add_voters
from voting_core.serialization import encode_voter
from voting_core.service.settings import DatabaseSettings
from voting_core.topics import TopicSpec


@pytest.fixture
def counted(ready: Election) -> Election:
    """A completely counted election of 270 votes."""
    ready.consume()
    write_totals(ready)
    return ready


def status(election: Election) -> Status:
    """The state of the pipeline; the command must not fail."""
    found = Status.of(election.run("voting", "status", "--json"))
    assert "Traceback" not in found.errors, found.errors
    return found


def test_ballots_that_a_gateway_sends_in_transactions_are_not_waited_for(
    election: Election,
) -> None:
    """The markers and the aborted records occupy offsets, and are no ballots."""
    voters = sample_voters()
    add_candidates(election.conn, CANDIDATES)
    add_voters(election.conn, voters)
    servers = election.kafka.bootstrap_servers
    gateway = connect_transactional(servers, f"gateway-{uuid.uuid4()}")
    for first in range(0, len(voters), 100):
        for is_sent in (False, True):
            gateway.begin_transaction()
            for voter in voters[first : first + 100]:
                key = voter.voter_id.encode()
                gateway.produce(topics.VOTERS.name, encode_voter(voter), key)
            gateway.flush(30)
            if is_sent:
                gateway.commit_transaction(30)
            else:
                gateway.abort_transaction(30)
    election.consume()
    write_totals(election)
    assert status(election).kinds == set()
    reconciled = election.run("voting", "reconcile", "--json")
    assert reconciled.returncode == 0, reconciled.stdout
    assert not any(json.loads(reconciled.stdout)["in_flight"].values())
    certified = election.run("voting", "certify", f"--out={election.directory / 'bundle'}")
    assert certified.returncode == 0, certified.stderr
    assert certified.stdout.startswith(f"{election.directory / 'bundle'}: certified, 270 votes")


FOREIGN = (
    topics.VOTES,
    topics.REJECTED_VOTES,
    topics.VOTING_PROGRESS,
    topics.VOTING_ELECTION,
    topics.VOTES_PER_CANDIDATE,
    topics.AGGREGATED_PROGRESS,
)


@pytest.mark.parametrize("topic", FOREIGN, ids=lambda topic: topic.name)
def test_a_foreign_record_is_named_by_its_position(counted: Election, topic: TopicSpec) -> None:
    """By status, reconcile and certify, which refuses; no command ends in a traceback."""
    append(counted, topic.name, b"x", b"{}", partition=0)
    diagnosed = status(counted)
    # Status does not read the log of rejections, as no other stage does.
    if topic is not topics.REJECTED_VOTES:
        assert diagnosed.exit_code == 1
        assert "foreign_records" in diagnosed.kinds
        assert f"{topic.name}, first 0@" in diagnosed.found["diagnosis"]["summary"]
    reconciled = counted.run("voting", "reconcile", "--timeout=0.2")
    assert reconciled.returncode == 1, reconciled.stderr
    assert re.search(rf"record 0@\d+ of {topic.name}", reconciled.stdout), reconciled.stdout
    refused = counted.run("voting", "certify", f"--out={counted.directory / 'bundle'}")
    assert refused.returncode == 1, refused.stderr
    assert topic.name in refused.stderr
    exported = counted.run("voting", "export", f"--out={counted.directory / 'export'}")
    assert exported.returncode == 0, exported.stderr


def test_the_evidence_of_a_forged_total_remains(counted: Election) -> None:
    """Until the operator says how it was resolved, even if nothing in Kafka shows it any more."""
    topic = topics.VOTES_PER_CANDIDATE
    key, total = records(counted, topic)[0]
    append(counted, topic.name, key, total | {"total_votes": total["total_votes"] + 1000})
    forged = status(counted)
    assert forged.exit_code == 1
    assert "unproven_totals" in forged.kinds
    for aggregate in topics.ALL_TOPICS:
        if aggregate.name.startswith("aggregated_"):
            counted.recreate(aggregate)
    counted.set_up()
    write_totals(counted)
    assert counted.run("voting", "reconcile", "--timeout=0.2").returncode == 0
    refilled = status(counted)
    assert (refilled.exit_code, refilled.kinds) == (1, {"incidents"})

    bundle = counted.directory / "bundle"
    refused = counted.run("voting", "certify", f"--out={bundle}")
    assert refused.returncode == 1
    assert "incident" in refused.stderr
    listed = counted.run("voting", "incidents")
    assert topic.name in listed.stdout
    (number,) = re.findall(r"^[│ ]*(\d+) +│", listed.stdout, re.MULTILINE)
    resolved = counted.run("voting", "incidents", "resolve", number, "--note=Refilled by hand")
    assert resolved.returncode == 0, resolved.stderr
    assert status(counted).exit_code == 0
    certified = counted.run("voting", "certify", f"--out={bundle}")
    assert certified.returncode == 0, certified.stderr


@pytest.fixture
def reader(counted: Election) -> Iterator[Election]:
    """The same election, for a role that may only read its tables."""
    name = "election_reader"
    counted.conn.execute(f"CREATE ROLE {name}".encode())
    counted.conn.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}".encode())
    url = str(counted.database.url)
    url += f"{'&' if '?' in url else '?'}options=-c%20role%3D{name}"
    yield attrs.evolve(counted, database=DatabaseSettings(SecretStr(url)))
    counted.conn.execute(f"DROP OWNED BY {name}".encode())
    counted.conn.execute(f"DROP ROLE {name}".encode())


@pytest.mark.parametrize("forgery", ["record", "total"])
def test_a_role_that_may_only_read_sees_the_differences(reader: Election, forgery: str) -> None:
    """It cannot record the evidence, which status, reconcile and certify say."""
    topic = topics.VOTES_PER_CANDIDATE
    key, total = records(reader, topic)[0]
    if forgery == "record":
        append(reader, topic.name, b"x", b"{}", partition=0)
    else:
        append(reader, topic.name, key, total | {"total_votes": total["total_votes"] + 1000})
    diagnosed = status(reader)
    assert diagnosed.exit_code == 1
    assert "incidents are not recorded: permission denied" in diagnosed.text
    reconciled = reader.run("voting", "reconcile", "--timeout=0.2")
    assert reconciled.returncode == 1, reconciled.stderr
    assert "DISAGREE" in reconciled.stdout
    assert "voting: incidents are not recorded: permission denied" in reconciled.stderr
    refused = reader.run("voting", "certify", f"--out={reader.directory / 'bundle'}")
    assert refused.returncode == 1, refused.stderr
    assert topic.name in refused.stderr
    assert "incidents are not recorded" in refused.stderr


def test_an_open_transaction_of_another_client_is_named(ready: Election) -> None:
    """It holds back every reader of the topic, so the stores cannot be compared."""
    ready.consume()
    write_totals(ready)
    # Longer than `reconcile` waits: it must still be open when that gives up.
    other = begin_transaction(ready.kafka.bootstrap_servers, f"other-{uuid.uuid4()}", seconds=300)
    other.produce(topics.VOTES.name, b"{}", partition=1)
    other.flush(30)
    reconciled = ready.run("voting", "reconcile")
    assert reconciled.returncode == 3, reconciled.stdout
    assert f"{topics.VOTES.name} partition 1" in reconciled.stderr
    other.abort_transaction(30)
    assert ready.run("voting", "reconcile").returncode == 0
    assert_counted(ready)
