"""Whatever is sent to voters_topic, the consumer goes on and every record ends once.

The property test runs few examples; the environment variable BAD_RECORDS_EXAMPLES sets how many.
"""

import base64
import hashlib
import itertools
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import attrs
import psycopg
import pytest
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    Message,
    Producer,
    TopicPartition,
)
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from testkit.checker.consistency import find_problems
from testkit.checker.kafka_topics import Position
from testkit.election import Election
from voting_core.database.election import read_election
from voting_core.database.voter_register import add_candidates, add_voters
from voting_core.kafka import publish_election, set_config
from voting_core.models import Address, Candidate, Voter
from voting_core.topics import REJECTED_VOTES, VOTERS, VOTES
from voting_infra import Child

EXAMPLES = int(os.environ.get("BAD_RECORDS_EXAMPLES", "30"))
TIMEOUT_SECONDS = 60.0
LARGEST = 12 * 1024 * 1024

VOTED = "voted"
PLACEHOLDER = "0000-placeholder"
PADDING = "padding-goes-here"

Outcome = str | None
"""VOTED or the reason of the rejection, or None where both are allowed."""


@attrs.frozen
class Sent:
    """A record to send, and its expected outcome.

    Attributes:
        value: The record; the placeholder in it is replaced by the id of a voter without a vote.
        outcome: The expected outcome.
        padding: Number of characters that replace `PADDING`.
        timestamp: Milliseconds since 1970, or None for now.
    """

    value: bytes | None
    outcome: Outcome
    key: bytes | None = None
    padding: int = 0
    timestamp: int | None = None
    partition: int = 0


def base() -> dict[str, Any]:
    """A valid voter with every field, as a JSON object."""
    return {
        "voter_id": PLACEHOLDER,
        "voter_name": "Any Name",
        "date_of_birth": "1980-02-29",
        "gender": "female",
        "nationality": "US",
        "registration_number": "1",
        "address": {"street": "1 St", "city": "C", "state": "S", "country": "US", "postcode": "1"},
        "email": "a@example.org",
        "phone_number": "1",
        "picture": "",
        "registered_age": 40,
        "choice": "ada",
    }


REQUIRED = ("voter_id", "voter_name", "date_of_birth", "gender", "address")
TEXTS = tuple(name for name, value in base().items() if type(value) is str)


def dumped(found: Any, *, ascii_only: bool = True) -> bytes:
    """JSON by the standard library, which also writes NaN and lone surrogates."""
    return json.dumps(found, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")


any_text = st.text(st.characters(codec=None) | st.sampled_from("\0\ud800\udfff\u202e\U0001f5f3"))
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def without_a_field(draw: st.DrawFn) -> Sent:
    """A voter with a missing field."""
    voter = base()
    name = draw(st.sampled_from([*voter, "state"]))
    del (voter["address"] if name == "state" else voter)[name]
    return Sent(dumped(voter), "malformed" if name in (*REQUIRED, "state") else VOTED)


@st.composite
def with_another_type(draw: st.DrawFn) -> Sent:
    """A voter with a field of the wrong type."""
    voter = base()
    wrong: dict[str, list[Any]] = {key: [1, -0.5, True, [], {}, ["x"]] for key in TEXTS}
    wrong |= {"address": [None, "S", 1, [], [["state", "S"]]], "registered_age": ["40", 4.5, True]}
    name = draw(st.sampled_from(sorted(wrong)))
    voter[name] = draw(st.sampled_from(wrong[name]))
    return Sent(dumped(voter), "malformed")


@st.composite
def with_another_text(draw: st.DrawFn) -> Sent:
    """A voter with any text in one field: empty, blank, unprintable, not storable."""
    voter = base()
    name = draw(st.sampled_from([*TEXTS, "state"]))
    text = draw(any_text | st.sampled_from(["", " ", "\t\n", "x" * 257, "x" * 5000]))
    (voter["address"] if name == "state" else voter)[name] = text
    outcome: Outcome = VOTED
    if any("\ud800" <= char <= "\udfff" for char in text):
        outcome = None  # a pair of surrogates may form one character
    elif "\0" in text or (name in (*REQUIRED, "state", "choice") and not text.strip()):
        outcome = "malformed"
    elif name in ("voter_id", "choice"):
        known = {"voter_id": "unregistered", "choice": "unknown_candidate"}[name]
        outcome = "malformed" if len(text) > 256 else known
    elif name == "date_of_birth":
        outcome = "malformed"
    return Sent(dumped(voter, ascii_only=draw(st.booleans())), outcome)


@st.composite
def with_an_unknown_field(draw: st.DrawFn) -> Sent:
    """A voter with an unknown field: any JSON, huge numbers, deep nesting."""
    plain = dumped(base())
    more, outcome = draw(
        st.sampled_from(
            [
                (b"1" * 400, None),
                (b"1e999", None),
                (b"NaN", "malformed"),
                (b"-Infinity", "malformed"),
                (b"123456789012345678901234567890", VOTED),
                (b"[" * 100 + b"]" * 100, VOTED),
                (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "malformed"),
                (b"[" * 400_000, "malformed"),
                (b'"\xff"', "malformed"),
                (b'"\\ud800"', "malformed"),
                (b'"' + PADDING.encode() + b'"', VOTED),
            ]
        )
        | any_json.map(lambda found: (dumped(found), None))
    )
    name = draw(st.sampled_from([b'"extra"', b'"0"', b'""']))
    return Sent(plain[:-1] + b"," + name + b":" + more + b"}", outcome)


@st.composite
def with_a_field_twice(draw: st.DrawFn) -> Sent:
    """A voter with a duplicate key, of which JSON readers use the last one."""
    voter = dumped(base())
    name = draw(st.sampled_from(sorted(base())))
    other = draw(any_json.map(dumped))
    return Sent(b"{" + dumped(name) + b":" + other + b"," + voter[1:], None)


@st.composite
def damaged(draw: st.DrawFn) -> Sent:
    """A voter whose bytes are truncated, overwritten, wrapped or encoded differently."""
    voter = dumped(base())
    split = draw(st.integers(0, len(voter) - 1))
    junk = draw(st.binary(min_size=1, max_size=6))
    value, outcome = draw(
        st.sampled_from(
            [
                (voter[:split], "malformed"),
                (voter[:split] + b"\xff\xfe" + voter[split:], "malformed"),
                (voter[:split] + b"\0" + voter[split:], "malformed"),
                (voter[:split] + junk + voter[split:], None),
                (b"[" + voter + b"]", "malformed"),
                (voter + voter, "malformed"),
                (voter.decode().encode("utf-16"), "malformed"),
                (b"\xef\xbb\xbf" + voter, "malformed"),
                (b" \n\t" + voter + b"\r\n ", VOTED),
                (json.dumps(voter.decode()).encode(), "malformed"),
                (b"", "malformed"),
                (None, "malformed"),
            ]
        )
    )
    return Sent(value, outcome)


def valid(**fields: Any) -> Sent:
    """A voter whose ballot counts."""
    return Sent(dumped(base() | fields), VOTED)


def milliseconds(year: int) -> int:
    """The beginning of a year as a Kafka timestamp."""
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1000


padded = dumped(base() | {"picture": PADDING})
odd_times = st.sampled_from(
    [
        attrs.evolve(valid(), timestamp=1, outcome="underage"),
        attrs.evolve(valid(), timestamp=milliseconds(1999), outcome=VOTED),
        attrs.evolve(valid(), timestamp=milliseconds(9999), outcome=VOTED),
        attrs.evolve(valid(), timestamp=milliseconds(9999) * 2, outcome="malformed"),
        attrs.evolve(valid(), timestamp=2**62, outcome="malformed"),
    ]
)
sizes = st.builds(
    Sent,
    st.sampled_from([padded, padded[:-1], PADDING.encode()]),
    st.just("malformed"),
    padding=st.sampled_from([1_000_001, 10_000_000]),
)
records = st.one_of(
    st.binary(max_size=64).map(lambda value: Sent(value, "malformed")),
    any_json.map(lambda found: Sent(dumped(found), "malformed")),
    without_a_field(),
    with_another_type(),
    with_another_text(),
    with_an_unknown_field(),
    with_a_field_twice(),
    damaged(),
    odd_times,
    st.builds(valid, date_of_birth=st.sampled_from(["2999-12-31", "9999-12-31", "0001-01-01"])),
    st.builds(valid, choice=st.sampled_from(["ada", "bob", None])),
)
keys = st.sampled_from([None, b"", b"same", b"\xff\0"])
placed = st.builds(
    lambda sent, key, position: attrs.evolve(sent, key=key, partition=position),
    records,
    keys,
    st.integers(0, 1),
)


class LiveCount:
    """A consumer that keeps running, the records sent to it, and the decisions it has published."""

    def __init__(self, election: Election, consumer: Child) -> None:
        self.election = election
        self.consumer = consumer
        self._numbers = itertools.count(1)
        self._producer = Producer(
            {
                "bootstrap.servers": election.kafka.bootstrap_servers,
                "message.max.bytes": LARGEST,
                "enable.idempotence": True,
                "linger.ms": 0,
            }
        )
        self._reader = Consumer(
            {
                "bootstrap.servers": election.kafka.bootstrap_servers,
                "group.id": "bad-records",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )
        self._reader.assign(
            [
                TopicPartition(topic.name, partition, OFFSET_BEGINNING)
                for topic in (VOTES, REJECTED_VOTES)
                for partition in (0, 1)
            ]
        )
        self.sent: dict[Position, tuple[Sent, bytes | None, str]] = {}
        self.votes: list[dict[str, Any]] = []
        self.rejections: dict[Position, dict[str, Any]] = {}

    def close(self) -> None:
        """Leave Kafka."""
        self._reader.close()

    def send(self, batch: Sequence[Sent]) -> list[Position]:
        """Register a new voter for each record, send all records, and return their positions."""
        ids = [f"{next(self._numbers):04}{PLACEHOLDER[4:]}" for _ in batch]
        born = date(1980, 1, 1)
        add_voters(
            self.election.conn, [Voter(i, "Voter", born, "female", Address("State")) for i in ids]
        )
        positions: dict[int, Position] = {}

        def delivered(number: int, error: KafkaError | None, message: Message) -> None:
            assert error is None, error
            positions[number] = (message.partition() or 0, message.offset() or 0)

        values = []
        for number, (sent, voter_id) in enumerate(zip(batch, ids, strict=True)):
            value = sent.value
            if value is not None:
                value = value.replace(PLACEHOLDER.encode(), voter_id.encode())
                value = value.replace(PADDING.encode(), b"p" * sent.padding)
            values.append(value)
            self._producer.produce(
                VOTERS.name,
                value,
                sent.key,
                sent.partition,
                timestamp=sent.timestamp or 0,
                on_delivery=partial(delivered, number),
            )
        assert self._producer.flush(TIMEOUT_SECONDS) == 0
        assert len(positions) == len(batch)
        for number, position in positions.items():
            self.sent[position] = (batch[number], values[number], ids[number])
        return [positions[number] for number in range(len(batch))]

    def await_all(self) -> None:
        """Wait until as many decisions are published as records were sent."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while len(self.votes) + len(self.rejections) < len(self.sent):
            self.consumer.check()
            assert time.monotonic() < deadline, self.consumer.log_path.read_text()[-3000:]
            message = self._reader.poll(0.2)
            if message is None:
                continue
            assert message.error() is None, message.error()
            found = json.loads(message.value() or b"")
            if message.topic() == VOTES.name:
                self.votes.append(found)
            else:
                position = found["coordinates"]["partition"], found["coordinates"]["offset"]
                assert position not in self.rejections
                self.rejections[position] = found

    def outcome(self, position: Position) -> str:
        """Return the decision on a record in the tables, which must be exactly one."""
        rows = self.election.conn.execute(
            "SELECT 'voted', voter_id FROM votes WHERE (source_partition, source_offset) = (%s, %s)"
            " UNION ALL SELECT reason, NULL FROM rejections"
            " WHERE (source_partition, source_offset) = (%s, %s)",
            position * 2,
        ).fetchall()
        assert len(rows) == 1, rows
        outcome, voter_id = rows[0]
        assert voter_id in (None, self.sent[position][2])
        return str(outcome)

    def check(self, positions: Sequence[Position]) -> None:
        """Check that each record has its expected outcome, and each rejection its evidence."""
        for position in positions:
            sent, value, voter_id = self.sent[position]
            outcome = self.outcome(position)
            assert sent.outcome in (None, outcome), (sent.outcome, self.rejections.get(position))
            published = [vote for vote in self.votes if vote["voter_id"] == voter_id]
            assert len(published) == (outcome == VOTED)
            assert (position in self.rejections) == (outcome != VOTED)
            if outcome != VOTED:
                rejection = self.rejections[position]
                assert rejection["reason"] == outcome
                assert rejection["size"] == len(value or b"")
                assert rejection["sha256"] == hashlib.sha256(value or b"").hexdigest()
                assert base64.b64decode(rejection["record_base64"]) == (value or b"")[:4096]


def accept_any_record(election: Election) -> None:
    """Accept records of 10 MB and of any time since 1970."""
    longest = str(2**63 - 1)
    config = {
        "max.message.bytes": str(LARGEST),
        "message.timestamp.before.max.ms": longest,
        "message.timestamp.after.max.ms": longest,
    }
    set_config(election.admin, VOTERS, config)
    election.conn.execute("UPDATE election SET began_at = '1970-01-01Z'")
    stored = read_election(election.conn)
    assert stored is not None
    publish_election(election.kafka, stored)
    add_candidates(election.conn, [Candidate("ada", "Ada"), Candidate("bob", "Bob")])


@contextmanager
def live_count(election: Election, *args: str) -> Iterator[LiveCount]:
    """A running consumer, on a topic that accepts any record."""
    accept_any_record(election)
    live = LiveCount(election, election.start("voting-consumer", "run", *args))
    try:
        yield live
    finally:
        live.close()


@pytest.fixture
def live(election: Election) -> Iterator[LiveCount]:
    """A running consumer, on a topic that accepts any record."""
    with live_count(election) as live:
        yield live


def assert_complete(live: LiveCount) -> None:
    """Check that the consumer still runs, stops on request, and has decided each record once."""
    live.consumer.check()
    assert live.consumer.stop(timeout=30) == 0, live.consumer.log_path.read_text()[-3000:]
    evidence = live.election.gather_evidence()
    assert find_problems(evidence) == []
    assert len(evidence.sent) == len(live.sent)


def test_no_record_stops_the_count_or_affects_another(live: LiveCount) -> None:
    """Bytes, JSON and damaged voters of any kind end once each, and good ballots still count."""

    # A consumer that has stopped fails every later example, so there is nothing to shrink.
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @example([valid(), *[Sent(PADDING.encode(), "malformed", padding=10_000_000)] * 3, valid()])
    @example([Sent(padded, "malformed", padding=10_000_000), valid()])
    @example([Sent(None, "malformed"), Sent(None, "malformed", key=b"k"), valid()])
    @example([Sent(padded, "malformed", padding=1_000_001), valid()])
    @example([attrs.evolve(valid(), timestamp=2**62, outcome="malformed"), valid()])
    @given(st.lists(placed, min_size=1, max_size=12))
    def check_batch(batch: list[Sent]) -> None:
        good = [attrs.evolve(valid(), partition=partition) for partition in (0, 1)]
        positions = live.send([*good, *batch, *good])
        live.await_all()
        live.check(positions)

    check_batch()
    assert_complete(live)


def test_a_record_near_the_limit_is_read_and_can_be_rejected(live: LiveCount) -> None:
    """One of 1,000,000 bytes is decided like any other; a rejection holds its first 4 KiB."""
    room = 1_000_000 - len(padded) + len(PADDING)
    stranger = padded.replace(PLACEHOLDER.encode(), b"unknown-stranger")
    positions = live.send(
        [
            Sent(padded, VOTED, padding=room),
            Sent(stranger, "unregistered", padding=room),
            Sent(padded[:-1], "malformed", padding=room + 1),
            Sent(padded, "malformed", padding=room + 1),
            valid(),
        ]
    )
    live.await_all()
    live.check(positions)
    assert len(base64.b64decode(live.rejections[positions[1]]["record_base64"])) == 4096
    assert live.rejections[positions[2]]["size"] == 1_000_000
    assert "oversized" not in live.rejections[positions[2]]["detail"]
    assert live.rejections[positions[3]]["detail"].startswith("oversized: 1,000,001 bytes")
    assert_complete(live)


@pytest.fixture
def refusing(election: Election) -> Iterator[str]:
    """A database that refuses the vote of one voter by an unforeseen constraint."""
    refused = f"0003{PLACEHOLDER[4:]}"
    conn: psycopg.Connection = election.conn
    conn.execute(f"ALTER TABLE votes ADD CONSTRAINT unforeseen CHECK (voter_id <> '{refused}')")
    yield refused
    conn.execute("ALTER TABLE votes DROP CONSTRAINT unforeseen")


def test_a_refused_row_is_rejected_alone(refusing: str, live: LiveCount) -> None:
    """A row that the database refuses becomes one rejection; the rest of its batch is decided."""
    batch = [valid() for _ in range(9)]
    batch[2] = attrs.evolve(batch[2], outcome="malformed")
    batch[5] = Sent(b"\0", "malformed")
    positions = live.send(batch)
    again = Sent(batch[0].value, "already_voted")
    assert again.value is not None
    first = again.value.replace(PLACEHOLDER.encode(), f"0001{PLACEHOLDER[4:]}".encode())
    positions += live.send([attrs.evolve(again, value=first)])
    live.await_all()
    assert [live.outcome(position) for position in positions] == [
        *(VOTED, VOTED, "malformed", VOTED, VOTED, "malformed", VOTED, VOTED, VOTED),
        "already_voted",
    ]
    assert "unforeseen" in live.rejections[positions[2]]["detail"]
    assert_complete(live)


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati"])
def test_times_at_the_ends_of_the_calendar_can_be_read_back(election: Election, zone: str) -> None:
    """The time zone of the database moves no time out of the years that can be read."""
    url = str(election.database.url)
    url += f"{'&' if '?' in url else '?'}options=-c%20timezone%3D{zone}"
    with live_count(election, f"--database-url={url}") as live:
        first, last = milliseconds(1), milliseconds(9999) + 365 * 86_400_000 - 1
        positions = live.send(
            [
                attrs.evolve(valid(), timestamp=first, outcome="malformed"),
                attrs.evolve(valid(), timestamp=last),
                valid(),
            ]
        )
        live.await_all()
        live.check(positions)
        assert live.rejections[positions[0]]["time"] == "0001-01-01T00:00:00.000Z"
        assert "9999-12-31T23:59:59.999Z" in {vote["voting_time"] for vote in live.votes}
        assert_complete(live)
