"""The exactly-once consumer on real Kafka and PostgreSQL, killed between any two of its steps."""

import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

import pytest
from checker import examine
from conftest import Election
from kill_consumer import POINTS

from voting_core.database.voter_register import add_candidates, add_voters
from voting_core.kafka import ReliableProducer, delete_topics
from voting_core.models import Address, Candidate, Voter
from voting_core.operator.setup import set_up_election
from voting_core.serialization import encode_voter
from voting_core.topics import REJECTED_VOTES, VOTERS, VOTES, VOTING_PROGRESS, TopicSpec

CANDIDATES = (Candidate("ada", "Ada"), Candidate("bob", "Bob"))
# The group notices soon that a killed member has gone.
QUICK = ("--until-idle=0.5", "--session-timeout=2")


def voters(count: int) -> list[Voter]:
    """Registered voters, each with a choice; every tenth is under age."""
    return [
        Voter(
            voter_id=f"v{number:05}",
            voter_name=f"Voter {number}",
            date_of_birth=date(2020 if number % 10 == 9 else 1980, 1, 1),
            gender="female",
            address=Address(f"State {number % 3}"),
            choice=("ada", "bob")[number % 2],
        )
        for number in range(count)
    ]


def send(election: Election, ballots: Iterable[Voter | bytes]) -> None:
    """Put ballots on voters_topic."""
    producer = ReliableProducer(election.kafka)
    producer.send(
        VOTERS.name,
        [
            (b"key", ballot) if isinstance(ballot, bytes) else record_of(ballot)
            for ballot in ballots
        ],
    )
    producer.flush()


def record_of(voter: Voter) -> tuple[bytes, bytes]:
    """A voter's record, as key and value."""
    return voter.voter_id.encode(), encode_voter(voter)


@pytest.fixture
def ready(election: Election) -> Election:
    """An election of 300 registered voters who have all sent a ballot, and a few bad records."""
    add_candidates(election.conn, CANDIDATES)
    people = voters(300)
    add_voters(election.conn, people)
    strangers = [Voter("x", "X", date(1980, 1, 1), "male", Address("State 0"), choice="ada")]
    send(election, [*people, b"\xff not JSON \x00", *strangers, *people[:5]])
    return election


def expected_of(people: Sequence[Voter]) -> dict[str, str | None]:
    """Who is to be counted for whom."""
    return {v.voter_id: v.choice for v in people if v.date_of_birth.year < 2000}


def consume(election: Election, *args: str) -> None:
    """Run a consumer until nothing is left to decide."""
    done = election.run("voting-consumer", "run", *QUICK, *args)
    assert done.returncode == 0, done.stderr


def assert_counted(election: Election) -> None:
    """Every record has ended once, and as it should."""
    findings = examine(election.kafka.bootstrap_servers, election.conn)
    findings.assert_consistent()
    assert findings.stored == expected_of(voters(300))
    assert findings.rejected == {
        "underage": 30,
        "already_voted": 5,
        "malformed": 1,
        "unregistered": 1,
    }


def test_every_record_ends_as_one_vote_or_one_rejection(ready: Election) -> None:
    """Good and bad records, and second ballots, each end once, in tables and topics alike."""
    consume(ready)
    assert_counted(ready)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_between_any_two_steps_loses_and_repeats_nothing(
    ready: Election, point: str, times: int
) -> None:
    """Killed there in its first or second batch, a restarted consumer completes the count."""
    killed = subprocess.run(
        [
            *(sys.executable, Path(__file__).with_name("kill_consumer.py"), point, str(times)),
            *("run", *QUICK, "--batch-size=100"),
        ],
        env=ready.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    consume(ready)
    assert_counted(ready)


def test_lost_group_offsets_change_nothing(ready: Election) -> None:
    """With the group deleted, the consumer goes on where its progress says."""
    consume(ready)
    for future in ready.admin.delete_consumer_groups(["voting-consumer"]).values():
        future.result()
    consume(ready)
    assert_counted(ready)


@pytest.mark.parametrize("topic", [VOTES, REJECTED_VOTES])
def test_a_recreated_output_topic_is_filled_again(ready: Election, topic: TopicSpec) -> None:
    """The stored decisions are published again to the topic that was lost, and only there."""
    consume(ready)
    delete_topics(ready.admin, [topic])
    set_up_election(ready.admin, ready.conn, partitions=2)
    consume(ready)
    assert_counted(ready)


@pytest.mark.parametrize("published", [VOTES, REJECTED_VOTES])
def test_progress_is_not_recreated_beside_what_it_told_of(
    ready: Election, published: TopicSpec
) -> None:
    """What is published would be a second time; with the output topics gone too all is well."""
    consume(ready)
    others = [topic for topic in (VOTES, REJECTED_VOTES) if topic is not published]
    delete_topics(ready.admin, [VOTING_PROGRESS, *others])
    refused = ready.run("voting", "init", "--partitions=2")
    assert refused.returncode == 2
    assert f"though {published.name} has records" in refused.stderr.splitlines()[-1]
    delete_topics(ready.admin, [published])
    assert ready.run("voting", "init", "--partitions=2").returncode == 0
    consume(ready)
    assert_counted(ready)


def test_a_decision_is_final(ready: Election) -> None:
    """What was decided is published as decided, though the register has changed since."""
    killed = subprocess.run(
        [
            *(sys.executable, Path(__file__).with_name("kill_consumer.py")),
            *("decisions committed", "1", "run", *QUICK),
        ],
        env=ready.environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    ready.conn.execute("UPDATE voters SET date_of_birth = '2024-01-01', address_state = 'Moved'")
    consume(ready)
    assert_counted(ready)


def test_two_consumers_share_the_work(ready: Election) -> None:
    """Two members of the group, and another instance after them, count everybody once."""
    people = voters(300)
    children = [
        ready.start("voting-consumer", "run", *QUICK, f"--instance={name}", name=name)
        for name in ("one", "two")
    ]
    send(ready, people)
    for child in children:
        assert child.wait(60) == 0, child.log_path.read_text()
    consume(ready, "--instance=three")
    findings = examine(ready.kafka.bootstrap_servers, ready.conn)
    findings.assert_consistent()
    assert findings.stored == expected_of(people)


def test_sigterm_ends_it_between_batches(ready: Election) -> None:
    """Asked to stop, the consumer finishes what it does and exits with 0."""
    child = ready.start("voting-consumer", "run", "--session-timeout=2")
    child_log = child.log_path
    while "resuming" not in child_log.read_text():
        child.check()
    assert child.stop(timeout=30) == 0
    consume(ready)
    assert_counted(ready)


def test_unreachable_places_are_named(election: Election) -> None:
    """Kafka or PostgreSQL that does not answer is told by its address, without the password."""
    kafka = election.run("voting-consumer", "run", "--kafka-bootstrap-servers=127.0.0.1:9")
    assert kafka.returncode == 2
    assert "127.0.0.1:9" in kafka.stderr.splitlines()[-1]
    database = election.run(
        "voting-consumer", "run", "--database-url=postgresql://ann:hush@127.0.0.1:9/voting"
    )
    assert database.returncode == 2
    assert "ann@127.0.0.1:9/voting" in database.stderr.splitlines()[-1]
    assert "hush" not in database.stderr


def test_a_log_that_forgets_is_refused(election: Election) -> None:
    """A log topic with a limited retention is told, with what to set, before anything is read."""
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

    entry = ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource("topic", VOTES.name, incremental_configs=[entry])
    for future in election.admin.incremental_alter_configs([resource]).values():
        future.result()
    done = election.run("voting-consumer", "run", *QUICK)
    assert done.returncode == 2
    assert "votes_topic has retention.ms=1000" in done.stderr
