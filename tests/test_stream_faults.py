"""The stream among other clients, recreated topics, outages and signals."""

import os
import signal
import time

import psutil
import pytest
from confluent_kafka import Producer

from testkit.election import Election
from testkit.processes import log_of
from testkit.running_stream import running_stream, tallied, totals, votes_topic_id
from testkit.sample_ballots import assert_counted, sample_voters, send_ballots
from testkit.waiting import eventually
from voting_core import topics
from voting_core.database.voter_register import add_voters
from voting_core.kafka import delete_topics, read_to_end
from voting_infra import Stack

STREAM = ("--trigger=200 milliseconds", "--master=local[1]")
VOTES = 270
"""Sample ballots that count."""


def send(election: Election, topic: topics.TopicSpec, *values: bytes | None) -> None:
    """Send records as another client."""
    producer = Producer({"bootstrap.servers": election.kafka.bootstrap_servers})
    for value in values:
        producer.produce(topic.name, value, b"key", partition=0)
    assert producer.flush(30) == 0


def test_records_of_other_clients_do_not_stop_the_count(ready: Election) -> None:
    """They are skipped, counted with their first offset, and logged; votes around them count."""
    ready.consume()
    (message, *_) = read_to_end(ready.kafka, ready.admin, topics.VOTES.name)
    send(ready, topics.VOTES, b"{}", None, b"\xff", message.value())
    topic_id = votes_topic_id(ready)
    ready.tally()
    ready.tally()
    view = totals(ready, topic_id)
    assert set(view.sums().values()) == {VOTES}
    rows = view.rows(topics.AGGREGATED_PROGRESS.name)
    assert sum(row.get("foreign_records", 0) for row in rows) == 4
    assert all("first_foreign_offset" in row for row in rows if row.get("foreign_records"))


def test_foreign_records_are_logged_with_their_position(ready: Election) -> None:
    """While the stream runs."""
    send(ready, topics.VOTES, b"{}")
    with running_stream(ready, *STREAM) as child:
        eventually(lambda: "skipped foreign records" in log_of(child), "logged", timeout=180)
        assert '"first": "0@0"' in log_of(child)


def test_a_recreated_votes_topic_is_never_counted_under_the_old_id(ready: Election) -> None:
    """Although the stream was paused while the new topic got more records than the old one had."""
    old = votes_topic_id(ready)
    ready.consume()
    with running_stream(ready, *STREAM) as child:
        eventually(lambda: tallied(ready, old) == VOTES, "all are tallied", timeout=180)
        child.pause()
        delete_topics(ready.admin, [topics.VOTES])
        ready.set_up()
        send_ballots(ready, sample_voters(600)[300:])
        ready.consume()
        send(ready, topics.VOTES, *[b"{}"] * 600)
        child.resume()
        assert child.wait(60) == 1
        assert "topic votes_topic was recreated" in log_of(child).splitlines()[-1]
    assert tallied(ready, old) == VOTES
    ready.tally()
    assert tallied(ready, votes_topic_id(ready)) == VOTES


@pytest.mark.parametrize(
    "topic", [topics.VOTES, topics.VOTES_OVER_TIME], ids=lambda topic: topic.name
)
def test_a_topic_that_is_recreated_ends_the_stream(
    ready: Election, topic: topics.TopicSpec
) -> None:
    """With exit code 1 and its name."""
    ready.consume()
    old = votes_topic_id(ready)
    with running_stream(ready, *STREAM) as child:
        eventually(lambda: tallied(ready, old) == VOTES, "all are tallied", timeout=180)
        ready.recreate(topic)
        assert child.wait(60) == 1
        assert f"topic {topic.name}" in log_of(child).splitlines()[-1]


@pytest.mark.parametrize("options", [STREAM, ("--trigger=real-time",)], ids=["batch", "real-time"])
def test_an_outage_of_kafka_is_waited_out(
    ready: Election, stack: Stack, options: tuple[str, ...]
) -> None:
    """However long: here longer than Kafka's clients wait; with few lines in the log."""
    ready.consume()
    topic_id = votes_topic_id(ready)
    with running_stream(ready, *options) as child:
        eventually(lambda: tallied(ready, topic_id) == VOTES, "all are tallied", timeout=180)
        before = len(log_of(child).splitlines())
        stack.kafka.stop()
        eventually(lambda: '"unavailable"' in log_of(child), "the outage is logged", timeout=120)
        time.sleep(75)
        assert child.returncode is None
        stack.kafka.start()
        outage_lines = len(log_of(child).splitlines()) - before
        late = sample_voters(330)[300:]
        add_voters(ready.conn, late)
        send_ballots(ready, late)
        ready.consume()
        eventually(lambda: "available again" in log_of(child), "the end is logged", timeout=180)
        eventually(lambda: tallied(ready, topic_id) == VOTES + 27, "all are tallied", timeout=180)
        assert child.returncode is None
        assert outage_lines < 25, log_of(child)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", ["counting", '"counted"'])
def test_a_signal_to_the_whole_group_is_a_clean_stop(
    ready: Election, moment: str, number: signal.Signals
) -> None:
    """As systemd and `timeout` send it: Java gets it too, before or while a batch runs."""
    ready.consume()
    with running_stream(ready, *STREAM) as child:
        eventually(lambda: moment in log_of(child), moment, timeout=180)
        family = psutil.Process(child.pid).children(recursive=True)
        os.killpg(child.pid, number)
        assert child.wait(60) == 0, log_of(child)
        assert "Traceback" not in log_of(child)
        assert "Py4J" not in log_of(child).replace('"error": "Py4J', "")
        assert not [each for each in family if each.is_running() and each.status() != "zombie"]


def test_what_was_counted_before_a_signal_is_counted_once(ready: Election) -> None:
    """The next run continues at the checkpoint."""
    ready.consume()
    topic_id = votes_topic_id(ready)
    with running_stream(ready, *STREAM) as child:
        eventually(lambda: '"counting"' in log_of(child), "the query starts", timeout=180)
        os.killpg(child.pid, signal.SIGTERM)
        assert child.wait(60) == 0
    ready.tally()
    assert set(totals(ready, topic_id).sums().values()) == {VOTES}
    assert_counted(ready)


def test_a_java_that_dies_ends_the_stream(ready: Election) -> None:
    """With exit code 1 and one line that says so, for the service manager to start it again."""
    ready.consume()
    with running_stream(ready, *STREAM) as child:
        eventually(lambda: '"counted"' in log_of(child), "a batch is counted", timeout=180)
        for each in psutil.Process(child.pid).children(recursive=True):
            if each.name() == "java":
                each.kill()
        assert child.wait(60) == 1
        assert "voting-stream: Spark failed" in log_of(child).splitlines()[-1]
        assert "Traceback" not in log_of(child)
    ready.tally()
    assert tallied(ready, votes_topic_id(ready)) == VOTES
