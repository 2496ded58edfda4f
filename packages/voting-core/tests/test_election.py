"""The election's identity: changes, agreement of the two stores, and its JSON."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from voting_core.election import (
    Election,
    ElectionChanges,
    ElectionMode,
    VotingRules,
    agreed_election,
    ballot_time_config,
    change_election,
    decode_election,
    encode_election,
    new_election,
    recreated_topics,
)
from voting_core.exceptions import ElectionError, InputError, SerializationError
from voting_core.rules import PollingHours

BEGAN = datetime(2026, 11, 3, 5, tzinfo=UTC)
ELECTION = Election(
    election_id="one",
    name="Mayor of Wrocław",
    began_at=BEGAN,
    rules=VotingRules(
        hours=PollingHours(BEGAN + timedelta(hours=2), None), draw_weights={"ada": 0.1}
    ),
    topic_ids={"voters_topic": "v1"},
)
OTHER = attrs.evolve(ELECTION, election_id="two", name="Another")


def test_an_election_survives_its_json() -> None:
    """Decoding returns what was encoded."""
    assert decode_election(encode_election(ELECTION)) == ELECTION


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"{}",
        b"[]",
        b"\xff",
        encode_election(ELECTION).replace(b'"rehearsal"', b'"other"'),
        encode_election(ELECTION).replace(b'"one"', b"1"),
        encode_election(ELECTION).replace(b"+00:00", b""),
        encode_election(ELECTION).replace(b'{"ada":0.1}', b"[]"),
    ],
)
def test_a_record_that_is_no_election_is_refused(value: bytes | None) -> None:
    """A foreign record on the topic does not become an election."""
    with pytest.raises(SerializationError):
        decode_election(value)


def test_new_elections_have_different_ids() -> None:
    """The id of a deleted election is not used again."""
    assert new_election(BEGAN).election_id != new_election(BEGAN).election_id


def test_both_stores_agree() -> None:
    """A foreign election beside the database's own does not matter."""
    assert agreed_election(ELECTION, {"one": ELECTION, "two": OTHER}) == ELECTION


@pytest.mark.parametrize(
    ("stored", "published", "named"),
    [
        (ELECTION, {"two": OTHER}, ["one", "two"]),
        (None, {"two": OTHER}, ["no election", "two"]),
        (None, {}, ["voting init"]),
        (ELECTION, {}, ["one", "Kafka has none"]),
        (ELECTION, {"one": attrs.evolve(ELECTION, topic_ids={})}, ["one", "differently"]),
    ],
)
def test_stores_that_do_not_agree_are_refused(
    stored: Election | None, published: dict[str, Election], named: list[str]
) -> None:
    """The message names what each store has."""
    with pytest.raises(ElectionError) as refused:
        agreed_election(stored, published)
    assert all(text in str(refused.value) for text in named)


def test_only_topics_with_another_id_are_recreated() -> None:
    """A topic that is not registered yet is not recreated."""
    found = recreated_topics(ELECTION, {"voters_topic": "v2", "votes_topic": "x"})
    assert found == {"voters_topic": "id v2, registered as v1"}


def test_polling_hours_change_at_any_time() -> None:
    """A court can extend them; what is not given stays."""
    close = BEGAN + timedelta(hours=12)
    changed = change_election(ELECTION, ElectionChanges(polls_close=close), is_new=False)
    assert changed.rules.hours == PollingHours(ELECTION.rules.hours.open, close)
    assert attrs.evolve(changed, rules=ELECTION.rules) == ELECTION


def test_polls_that_close_before_they_open_are_refused() -> None:
    """The opening is that of the election, not only of the same call."""
    with pytest.raises(InputError, match="polls close"):
        change_election(ELECTION, ElectionChanges(polls_close=BEGAN), is_new=False)


@pytest.mark.parametrize(
    "change",
    [
        ElectionChanges(mode=ElectionMode.LIVE),
        ElectionChanges(began_at=BEGAN - timedelta(1)),
        ElectionChanges(draw_seed="another"),
        ElectionChanges(draw_weights={"bob": 1.0}),
    ],
)
def test_what_decisions_depend_on_is_fixed(change: ElectionChanges) -> None:
    """It can be chosen for a new election only."""
    assert change_election(ELECTION, change, is_new=True) != ELECTION
    with pytest.raises(InputError, match="fixed"):
        change_election(ELECTION, change, is_new=False)


def test_the_same_values_are_no_change() -> None:
    """`voting init` may be repeated with the same options."""
    same = ElectionChanges(
        mode=ElectionMode.REHEARSAL, name=ELECTION.name, began_at=BEGAN, draw_weights={"ada": 0.1}
    )
    assert change_election(ELECTION, same, is_new=False) == ELECTION


def test_the_broker_sets_the_times_of_a_live_election() -> None:
    """A sender cannot choose a ballot's time."""
    live = attrs.evolve(ELECTION, mode=ElectionMode.LIVE)
    assert ballot_time_config(live, BEGAN) == {"message.timestamp.type": "LogAppendTime"}


def test_the_broker_accepts_ballots_since_the_begin() -> None:
    """A rehearsal of a past election has old timestamps, but not those of 1970."""
    config = ballot_time_config(ELECTION, BEGAN + timedelta(days=30))
    assert config["message.timestamp.before.max.ms"] == str(37 * 86_400_000)
    assert config["message.timestamp.after.max.ms"] == str(3_600_000)
