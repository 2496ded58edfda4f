"""The exactly-once consumer on real Kafka and PostgreSQL, killed between any two of its steps."""

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

from testkit.checker.consistency import find_problems
from testkit.checker.evidence import read_voters
from testkit.consumer_faults import kill_consumer
from testkit.election import QUICK_CONSUMER, Election
from testkit.kill_points import POINTS
from testkit.sample_ballots import (
    assert_counted,
    eligible_choices,
    sample_voters,
    send_ballots,
)
from testkit.waiting import eventually
from voting_core.kafka import delete_topics
from voting_core.topics import REJECTED_VOTES, VOTES, VOTING_PROGRESS, TopicSpec


def test_every_record_ends_as_one_vote_or_one_rejection(ready: Election) -> None:
    """Good and bad records, and repeated ballots, each end once, in tables and topics alike."""
    ready.consume()
    assert_counted(ready)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_between_any_two_steps_loses_and_repeats_nothing(
    ready: Election, point: str, times: int
) -> None:
    """Killed there in its first or second batch, a restarted consumer completes the count."""
    kill_consumer(ready, point, "--batch-size=100", times=times)
    ready.consume()
    assert_counted(ready)


def test_lost_group_offsets_change_nothing(ready: Election) -> None:
    """With the group deleted, the consumer resumes where `voting_progress` says."""
    ready.consume()
    for future in ready.admin.delete_consumer_groups(["voting-consumer"]).values():
        future.result()
    ready.consume()
    assert_counted(ready)


@pytest.mark.parametrize("topic", [VOTES, REJECTED_VOTES])
def test_a_recreated_output_topic_is_filled_again(ready: Election, topic: TopicSpec) -> None:
    """The stored decisions are published again to the topic that was lost, and only there."""
    ready.consume()
    delete_topics(ready.admin, [topic])
    ready.set_up()
    ready.consume()
    assert_counted(ready)


@pytest.mark.parametrize("published", [VOTES, REJECTED_VOTES])
def test_progress_is_not_recreated_beside_published_decisions(
    ready: Election, published: TopicSpec
) -> None:
    """Without its progress a decision would be published twice, unless the topic is gone too."""
    ready.consume()
    others = [topic for topic in (VOTES, REJECTED_VOTES) if topic is not published]
    delete_topics(ready.admin, [VOTING_PROGRESS, *others])
    refused = ready.run("voting", "init", "--partitions=2")
    assert refused.returncode == 2
    assert f"though {published.name} has records" in refused.stderr.splitlines()[-1]
    delete_topics(ready.admin, [published])
    assert ready.run("voting", "init", "--partitions=2").returncode == 0
    ready.consume()
    assert_counted(ready)


def test_a_decision_is_final(ready: Election) -> None:
    """A decision is published as it was made, though the register has changed since."""
    kill_consumer(ready, "decisions committed")
    register = read_voters(ready.conn)
    changed = ready.conn.execute(
        "UPDATE voters SET date_of_birth = '2024-01-01', address_state = 'Moved'"
        " WHERE voter_id IN (SELECT voter_id FROM votes)"
    )
    assert changed.rowcount > 0
    ready.consume()
    assert_counted(ready, register)


def test_two_consumers_share_the_work(ready: Election) -> None:
    """Two members of the group, and another instance after them, count every voter once."""
    voters = sample_voters()
    children = [
        ready.start("voting-consumer", "run", *QUICK_CONSUMER, f"--instance={name}", name=name)
        for name in ("one", "two")
    ]
    send_ballots(ready, voters)
    for child in children:
        assert child.wait(60) == 0, child.log_path.read_text()
    ready.consume("--instance=three")
    evidence = ready.gather_evidence()
    assert find_problems(evidence) == []
    assert evidence.stored_choices == eligible_choices(voters)


def test_sigterm_ends_it_between_batches(ready: Election) -> None:
    """Asked to stop amid its work, the consumer completes its batch and exits with 0."""
    consumer = ready.start("voting-consumer", "run", "--session-timeout=2", "--batch-size=20")

    def has_decided() -> bool:
        consumer.check()
        return ready.conn.execute("SELECT FROM votes LIMIT 1").fetchone() is not None

    eventually(has_decided, "a first decision")
    assert consumer.stop(timeout=30) == 0
    ready.consume()
    assert_counted(ready)


def test_an_unreachable_server_is_named(election: Election) -> None:
    """The message has the address of Kafka or PostgreSQL, without the password."""
    kafka = election.run("voting-consumer", "run", "--kafka-bootstrap-servers=127.0.0.1:9")
    assert kafka.returncode == 2
    assert "127.0.0.1:9" in kafka.stderr.splitlines()[-1]
    database = election.run(
        "voting-consumer", "run", "--database-url=postgresql://ann:hush@127.0.0.1:9/voting"
    )
    assert database.returncode == 2
    assert "ann@127.0.0.1:9/voting" in database.stderr.splitlines()[-1]
    assert "hush" not in database.stderr


def test_a_log_topic_with_a_limited_retention_is_refused(election: Election) -> None:
    """The message says what to set, before anything is read."""
    entry = ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource("topic", VOTES.name, incremental_configs=[entry])
    for future in election.admin.incremental_alter_configs([resource]).values():
        future.result()
    done = election.run("voting-consumer", "run", *QUICK_CONSUMER)
    assert done.returncode == 2
    assert "votes_topic has retention.ms=1000" in done.stderr
