"""The dashboard in a real browser, with foreign records, outages and stores that do not match."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import psycopg
import pytest
from playwright.sync_api import Page, expect

from testkit.browser import open_page
from testkit.election import Election
from testkit.waiting import eventually
from voting_core.database import connect
from voting_core.database.incidents import IncidentKind, unresolved_incidents
from voting_core.kafka import ReliableProducer, create_topics, delete_topics, topic_ids
from voting_core.operator.setup import forget_election
from voting_core.serialization import compound_key
from voting_core.topics import VOTES, VOTES_PER_CANDIDATE, VOTES_PER_CANDIDATE_BY_LOCATION
from voting_infra import Child, Stack
from voting_infra.ports import free_ports

VOTES_OF_THE_SAMPLE = 270
CELLS, CANDIDATES = VOTES_PER_CANDIDATE_BY_LOCATION.name, VOTES_PER_CANDIDATE.name
RECOVERY_MS = 120_000


@attrs.frozen
class Dashboard:
    """A running dashboard, and a page that shows it.

    Attributes:
        url: Without a slash at its end.
    """

    child: Child
    url: str
    page: Page
    log_path: Path

    def expect_votes(self, votes: int) -> None:
        """Wait until the page shows a number of votes."""
        metric = self.page.get_by_test_id("stMetric").first
        expect(metric).to_contain_text(re.compile(rf"\D{votes:,}$"), timeout=RECOVERY_MS)

    def expect_status(self, text: str) -> None:
        """Wait until the page shows the state of the count."""
        expect(self.page.get_by_role("status")).to_contain_text(text, timeout=RECOVERY_MS)

    def expect_problem(self, text: str) -> str:
        """Wait until the page shows a problem, and return its whole text."""
        alert = self.page.get_by_role("alert").filter(has_text=text)
        expect(alert).to_be_visible(timeout=RECOVERY_MS)
        return alert.inner_text()

    def log_lines(self, text: str) -> list[dict[str, Any]]:
        """Return the lines of the log that contain a text."""
        lines = self.log_path.read_text().splitlines()
        return [json.loads(line) for line in lines if text in line and line.startswith("{")]

    def screenshot(self, name: str) -> None:
        """Keep an image of the page beside its log."""
        self.page.screenshot(path=self.log_path.with_name(f"{name}.png"))


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of the installed Chromium."""
    with open_page() as page:
        yield page


@contextmanager
def running_dashboard(election: Election, page: Page, *options: str) -> Iterator[Dashboard]:
    """Run a dashboard and open its page."""
    (port,) = free_ports(1)
    command = election.command("voting-dashboard", f"--port={port}", "--refresh=1", *options)
    child = election.supervisor.start(command)
    log_path = command.log_path

    def is_served() -> bool:
        child.check()
        return "The dashboard is at" in log_path.read_text()

    eventually(is_served, "the dashboard prints its URL")
    found = re.search(r"The dashboard is at (\S+)", log_path.read_text())
    assert found is not None
    page.goto(found[1])
    try:
        yield Dashboard(child, found[1], page, log_path)
    finally:
        election.supervisor.stop_all([child])


@pytest.fixture
def counted(ready: Election) -> Election:
    """An election of 270 accepted votes, all of them counted."""
    ready.consume()
    publish_totals(ready)
    return ready


@pytest.fixture
def dashboard(counted: Election, page: Page) -> Iterator[Dashboard]:
    """A dashboard that shows the 270 votes."""
    with running_dashboard(counted, page) as dashboard:
        dashboard.expect_votes(VOTES_OF_THE_SAMPLE)
        yield dashboard


def publish_totals(election: Election) -> None:
    """Write the totals of the accepted votes, as the stream does."""
    cells = election.conn.execute(
        "SELECT state, candidate_id, count(*) FROM votes GROUP BY state, candidate_id"
    ).fetchall()
    by_candidate = election.conn.execute(
        "SELECT candidate_id, candidate_name, party_affiliation, count(*)"
        " FROM votes JOIN candidates USING (candidate_id)"
        " GROUP BY candidate_id, candidate_name, party_affiliation"
    ).fetchall()
    for state, candidate_id, votes in cells:
        write_cell(election, state, candidate_id, votes)
    for candidate_id, name, party, votes in by_candidate:
        write_candidate(election, candidate_id, name, party, votes)


def write_cell(election: Election, state: str, candidate_id: str, votes: int) -> None:
    """Write the total of a candidate in a location."""
    row = {"state": state, "candidate_id": candidate_id, "total_votes": votes}
    write(election, CELLS, compound_key(state, candidate_id), row)


def write_candidate(
    election: Election, candidate_id: str, name: str, party: str, votes: int
) -> None:
    """Write the total of a candidate."""
    row = {
        "candidate_id": candidate_id,
        "candidate_name": name,
        "party_affiliation": party,
        "total_votes": votes,
    }
    write(election, CANDIDATES, candidate_id.encode(), row)


def write(election: Election, topic: str, key: bytes, row: Mapping[str, Any]) -> None:
    """Write a record with the id of the election's `votes_topic`."""
    topic_id = topic_ids(election.admin, [VOTES])[VOTES.name]
    send(election, topic, key, json.dumps({**row, "votes_topic_id": topic_id}).encode())


def send(election: Election, topic: str, key: bytes, value: bytes) -> None:
    """Write any record."""
    producer = ReliableProducer(election.kafka)
    producer.send(topic, [(key, value)])
    producer.flush()


def forge_cell(election: Election) -> None:
    """Forge a total of a candidate in a location."""
    write_cell(election, "State 0", "ada", 1_000_000)


def forge_new_location(election: Election) -> None:
    """Forge a total of a location that does not exist."""
    write_cell(election, "Atlantis", "ada", 1)


def forge_candidate(election: Election) -> None:
    """Forge a total of a candidate in all locations."""
    write_candidate(election, "ada", "Ada", "", 1_000_000)


@pytest.mark.parametrize(
    ("forge", "topic"),
    [(forge_cell, CELLS), (forge_new_location, CELLS), (forge_candidate, CANDIDATES)],
)
def test_a_forged_total_is_never_shown(
    counted: Election, dashboard: Dashboard, forge: Any, topic: str
) -> None:
    """The proven figures stay, one incident is recorded, and the page recovers by itself."""
    forge(counted)
    problem = dashboard.expect_problem("The results are frozen")
    dashboard.screenshot("frozen")
    assert re.search(r"an incident is recorded.*as of \d+ \w+ \d{4}", problem)
    assert not re.search(r"aggregated|localhost|127\.0\.0\.1|postgres", problem)
    dashboard.expect_status("Not up to date")
    # The topics are read again, and neither the page nor the incidents change.
    eventually(lambda: bool(dashboard.log_lines("unavailable")), "the unproven totals are logged")
    dashboard.page.reload()
    dashboard.expect_problem("The results are frozen")
    dashboard.expect_votes(VOTES_OF_THE_SAMPLE)
    (incident,) = unresolved_incidents(counted.conn)
    assert (incident.kind, incident.subject) == (IncidentKind.UNPROVEN_TOTALS, topic)
    assert f"{VOTES_OF_THE_SAMPLE}" in incident.detail
    # The operator recreates the topic; the stream fills it again.
    aggregate = {each.name: each for each in (VOTES_PER_CANDIDATE, VOTES_PER_CANDIDATE_BY_LOCATION)}
    delete_topics(counted.admin, [aggregate[topic]])
    create_topics(counted.admin, [aggregate[topic]], partitions=1, replication=1)
    counted.set_up()
    publish_totals(counted)
    dashboard.expect_status("Live")
    dashboard.expect_votes(VOTES_OF_THE_SAMPLE)
    assert len(unresolved_incidents(counted.conn)) == 1


def test_a_dashboard_that_starts_with_a_forged_total(counted: Election, page: Page) -> None:
    """It shows no figures at all: none of them is proven."""
    forge_cell(counted)
    with running_dashboard(counted, page) as dashboard:
        problem = dashboard.expect_problem("The results are frozen")
        dashboard.screenshot("nothing proven")
        assert "There are no results to show" in problem
        expect(page.get_by_test_id("stMetric").first).to_contain_text("–")
        assert "1,000,000" not in page.inner_text("body")


@pytest.mark.parametrize("topic", [CELLS, CANDIDATES])
def test_foreign_records_are_skipped(counted: Election, dashboard: Dashboard, topic: str) -> None:
    """Each is logged with its position; the count goes on."""
    total = {"state": "State 0", "candidate_id": "ada", "total_votes": 10**6}
    total |= {"candidate_name": "Ada", "party_affiliation": ""}
    foreign = [
        (b"x", b"{}"),
        (b"x", b"\xff"),
        (b"x", b""),
        (b"x", b'{"total_votes": 1e999}'),
        (compound_key("State 0", "bob"), json.dumps(total).encode()),
    ]
    for key, value in foreign:
        send(counted, topic, key, value)
    # A total whose key is that of another one, and one that would offset a total that is too high.
    write(counted, topic, b"forged key", total)
    key = compound_key("State 0", "ada") if topic == CELLS else b"ada"
    write(counted, topic, key, total | {"total_votes": -(10**6)})
    logged = "skipped a foreign record"
    eventually(
        lambda: len(dashboard.log_lines(logged)) == len(foreign) + 2, "all of them are logged"
    )
    positions = [
        (line["topic"], line["partition"], line["offset"]) for line in dashboard.log_lines(logged)
    ]
    first = positions[0][2]
    assert positions == [(topic, 0, first + n) for n in range(len(foreign) + 2)]
    dashboard.expect_status("Live")
    dashboard.expect_votes(VOTES_OF_THE_SAMPLE)
    assert unresolved_incidents(counted.conn) == []


def test_nothing_is_shown_without_postgresql(
    counted: Election, dashboard: Dashboard, stack: Stack
) -> None:
    """The proven figures stay, the page says why, and continues when PostgreSQL is back."""
    stack.postgres.stop()
    try:
        forge_new_location(counted)
        problem = dashboard.expect_problem("The results are not being updated")
        dashboard.screenshot("without PostgreSQL")
        assert "the database is unavailable" in problem
        assert re.search(r"as of \d+ \w+ \d{4}", problem)
        assert str(stack.database_url.rpartition("@")[2]) not in problem
        dashboard.expect_votes(VOTES_OF_THE_SAMPLE)
    finally:
        stack.postgres.start()
    # The total that was forged meanwhile is not shown either.
    dashboard.expect_problem("The results are frozen")
    dashboard.expect_votes(VOTES_OF_THE_SAMPLE)
    assert len(dashboard.log_lines("available again")) <= 2


def test_a_frozen_postgresql(counted: Election, dashboard: Dashboard, stack: Stack) -> None:
    """A server that accepts connections but answers nothing is a problem too."""
    stack.postgres.pause()
    try:
        dashboard.expect_problem("The results are not being updated")
        dashboard.expect_votes(VOTES_OF_THE_SAMPLE)
    finally:
        stack.postgres.resume()
    dashboard.expect_status("Live")


def test_nothing_is_shown_without_kafka(dashboard: Dashboard, stack: Stack) -> None:
    """The proven figures stay, and continue when Kafka is back."""
    stack.kafka.stop()
    try:
        problem = dashboard.expect_problem("Kafka is unreachable")
        assert stack.bootstrap_servers not in problem
        dashboard.expect_votes(VOTES_OF_THE_SAMPLE)
    finally:
        stack.kafka.start()
    dashboard.expect_status("Live")
    eventually(lambda: bool(dashboard.log_lines("available again")), "the end is logged")


def test_counting_behind(counted: Election, dashboard: Dashboard) -> None:
    """Accepted votes that the stream does not count are named, and are no incident."""
    counted.conn.execute(
        "INSERT INTO votes SELECT voter_id, 'ada', now(), 'State 0', 'female', 30, 'x', 0, 0"
        " FROM voters WHERE voter_id NOT IN (SELECT voter_id FROM votes) LIMIT 1"
    )
    alert = dashboard.page.get_by_role("alert").filter(has_text="Counting is 1 vote behind")
    expect(alert).to_be_visible(timeout=90_000)
    dashboard.screenshot("behind")
    dashboard.expect_votes(VOTES_OF_THE_SAMPLE)
    assert unresolved_incidents(counted.conn) == []


@contextmanager
def swapped_database(election: Election) -> Iterator[None]:
    """Put the database of another election in the place of this one's."""
    url, _, name = str(election.database.url).rpartition("/")
    election.conn.close()
    with psycopg.connect(f"{url}/postgres", autocommit=True) as server:
        server.execute("DROP DATABASE IF EXISTS theirs WITH (FORCE)")
        move_away(server, name)
        server.execute(b"CREATE DATABASE theirs TEMPLATE ours")
        with psycopg.connect(f"{url}/theirs", autocommit=True) as theirs:
            theirs.execute("UPDATE election SET election_id = 'theirs', name = 'Theirs'")
            theirs.execute("TRUNCATE votes")
        server.execute(f"ALTER DATABASE theirs RENAME TO {name}".encode())
        try:
            yield
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
            server.execute(f"ALTER DATABASE ours RENAME TO {name}".encode())


def move_away(server: psycopg.Connection, name: str) -> None:
    """Rename a database to `ours`, which requires that nothing is connected to it."""
    server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
    terminate = b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    server.execute(terminate, (name,))

    def is_renamed() -> bool:
        try:
            server.execute(f"ALTER DATABASE {name} RENAME TO ours".encode())
        except psycopg.errors.ObjectInUse:
            return False
        return True

    eventually(is_renamed, "all connections to the database have ended")
    server.execute("ALTER DATABASE ours ALLOW_CONNECTIONS true")


def test_the_database_of_another_election(counted: Election, dashboard: Dashboard) -> None:
    """No figure of it is shown, none is an incident, and the count resumes with the right one."""
    with swapped_database(counted):
        problem = dashboard.expect_problem("not of one election")
        dashboard.screenshot("another election")
        assert "theirs" not in problem.lower()
        dashboard.expect_votes(VOTES_OF_THE_SAMPLE)
        eventually(lambda: bool(dashboard.log_lines("theirs")), "both elections are logged")
        with connect(counted.database) as conn:
            assert unresolved_incidents(conn) == []
    dashboard.expect_status("Live")
    dashboard.expect_votes(VOTES_OF_THE_SAMPLE)


def test_a_reset(counted: Election, dashboard: Dashboard) -> None:
    """The dashboard starts over by itself, and a reset is no incident."""
    forget_election(counted.admin, counted.conn)
    dashboard.expect_problem("not of one election")
    dashboard.expect_votes(VOTES_OF_THE_SAMPLE)
    counted.set_up()
    dashboard.expect_votes(0)
    dashboard.expect_status("Live")
    assert unresolved_incidents(counted.conn) == []
    assert dashboard.child.returncode is None


def test_a_page_below_a_path(counted: Election, page: Page) -> None:
    """A browser opens the page below its base path, and only paths below it are served."""
    with running_dashboard(counted, page, "--base-path=/count") as dashboard:
        assert dashboard.url.endswith("/count")
        health = page.request.get(f"{dashboard.url}/_stcore/health")
        assert (health.status, health.text()) == (200, "ok")
        dashboard.expect_votes(VOTES_OF_THE_SAMPLE)
        above = page.request.get(f"{dashboard.url.removesuffix('/count')}/_stcore/health")
        assert above.status == 404


def test_the_register_is_not_raised_to_the_votes(counted: Election, page: Page) -> None:
    """More votes than registered voters are shown as they are."""
    # Not even a superuser can delete the voters otherwise.
    counted.conn.execute("SET session_replication_role = replica")
    counted.conn.execute("DELETE FROM voters WHERE voter_id NOT LIKE 'v0000%'")
    with running_dashboard(counted, page) as dashboard:
        dashboard.expect_votes(VOTES_OF_THE_SAMPLE)
        registered, turnout = (page.get_by_test_id("stMetric").nth(n) for n in (1, 2))
        expect(registered).to_contain_text(re.compile(r"\D10$"))
        expect(turnout).to_contain_text("2700.0%")
