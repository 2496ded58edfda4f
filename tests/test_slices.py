"""Several producers of one election at the same time, on real Kafka and PostgreSQL."""

import json
from concurrent.futures import ThreadPoolExecutor

from testkit.checker.kafka_topics import read_topic
from testkit.election import Election
from testkit.paths import US_2020
from testkit.waiting import is_blocked
from voting_core.database import connect
from voting_core.database.voter_register import add_first_candidates, candidates
from voting_core.models import Candidate


def test_slices_sent_at_the_same_time_are_the_whole_election(election: Election) -> None:
    """Three producers register each candidate and voter once, and send each ballot once."""
    scale = 100_000
    run = ("run", f"--results={US_2020}", f"--scale={scale}")
    producers = [
        election.start("voting-producer", *run, f"--slice={n}/3", name=f"producer-{n}")
        for n in (1, 2, 3)
    ]
    for producer in producers:
        assert producer.wait(120) == 0, producer.log_path.read_text()
    sent = [
        json.loads(value)
        for _, value in read_topic(election.kafka.bootstrap_servers, "voters_topic")
    ]
    whole = election.run("voting-producer", *run, f"--report={election.directory / 'whole.json'}")
    assert whole.returncode == 0, whole.stderr
    report = json.loads((election.directory / "whole.json").read_text())
    assert len(sent) == report["sent"] == report["votes"]
    assert len({voter["voter_id"] for voter in sent}) == len(sent)
    assert election.conn.execute("SELECT count(*) FROM voters").fetchone() == (len(sent),)
    assert len(candidates(election.conn)) == len(report["candidates"])


def test_the_first_candidates_are_those_of_one_producer(election: Election) -> None:
    """A second producer waits for the first one, and then adds no candidates of its own."""
    ann, bob = Candidate("a", "Ann"), Candidate("b", "Bob")
    with (
        connect(election.database) as first,
        connect(election.database) as second,
        ThreadPoolExecutor() as pool,
    ):
        with first.transaction():
            assert add_first_candidates(first, [ann])
            late = pool.submit(add_first_candidates, second, [bob])
            assert is_blocked(late)
        assert late.result(30) is False
        assert candidates(second) == {"a": ann}
