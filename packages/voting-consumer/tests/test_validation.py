"""The rules that a ballot must meet."""

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import attrs
import pytest

from voting_consumer.validation import (
    HEAD_BYTES,
    BallotRecord,
    ElectionRules,
    read_ballots,
    validate,
)
from voting_core.election import Election, ElectionMode
from voting_core.models import Coordinates, Reason, RegisteredVoter, Rejection, Vote
from voting_core.rules import ChoiceDraw, PollingHours

NOON = int(datetime(2026, 11, 3, 12, 0, tzinfo=UTC).timestamp() * 1000)
BEGAN = datetime(1, 1, 1, tzinfo=UTC)
DRAW = ChoiceDraw.over(["ada", "bob"], "seed")
RULES = ElectionRules({"ada", "bob"}, DRAW, BEGAN)
REGISTER = {
    "v1": RegisteredVoter("v1", date(1980, 1, 1), "female", "Ohio"),
    "v2": RegisteredVoter("v2", date(2008, 11, 3), "male", "Iowa"),
    "young": RegisteredVoter("young", date(2008, 11, 4), "male", "Iowa"),
}


def record(offset: int, voter_id: str = "v1", timestamp: int = NOON, **fields: Any) -> BallotRecord:
    """Return a ballot whose age and location differ from the register's on purpose."""
    value = {
        "voter_id": voter_id,
        "voter_name": "N",
        "date_of_birth": "1900-01-01",
        "gender": "unknown",
        "address": {"state": "Elsewhere"},
        **fields,
    }
    return BallotRecord(Coordinates("T", 0, offset), timestamp, json.dumps(value).encode())


def decide(*records: BallotRecord, rules: ElectionRules = RULES) -> list[tuple[int, object]]:
    """Return the decision on each record, in offset order: the candidate or the reason."""
    ballots, malformed = read_ballots(records, rules.began_at)
    votes, rejections = validate(ballots, REGISTER, rules)
    decided: list[Vote | Rejection] = [*votes, *rejections, *malformed]
    return sorted(
        (d.coordinates.offset, d.candidate_id if isinstance(d, Vote) else d.reason) for d in decided
    )


def test_age_and_location_come_from_the_register() -> None:
    """The age and location in the ballot's record are ignored."""
    ballots, _ = read_ballots([record(7, choice="bob")], BEGAN)
    votes, rejections = validate(ballots, REGISTER, RULES)
    assert rejections == []
    assert votes == [
        Vote(
            coordinates=Coordinates("T", 0, 7),
            voter_id="v1",
            candidate_id="bob",
            voting_time=datetime(2026, 11, 3, 12, 0, tzinfo=UTC),
            state="Ohio",
            gender="female",
            age=46,
        )
    ]


def test_a_ballot_without_choice_is_drawn() -> None:
    """The choice is drawn from the voter_id."""
    assert decide(record(0)) == [(0, DRAW.choice("v1"))]


@pytest.mark.parametrize(
    ("ballot", "reason"),
    [
        (record(0, "stranger"), Reason.UNREGISTERED),
        (record(0, "young"), Reason.UNDERAGE),
        (record(0, choice="zoe"), Reason.UNKNOWN_CANDIDATE),
        (record(0, gender=""), Reason.MALFORMED),
        (record(0, timestamp=10**18), Reason.MALFORMED),
        (BallotRecord(Coordinates("T", 0, 0), NOON, None), Reason.MALFORMED),
    ],
)
def test_reasons(ballot: BallotRecord, reason: Reason) -> None:
    """Each broken rule has a reason code."""
    assert decide(ballot) == [(0, reason)]


def test_eighteen_on_the_day_is_old_enough() -> None:
    """On the 18th birthday, in UTC and by the record's timestamp, the voter is of age."""
    last_moment_before = NOON - 12 * 3600 * 1000 - 1
    assert decide(record(0, "v2", choice="ada")) == [(0, "ada")]
    assert decide(record(0, "v2", timestamp=last_moment_before)) == [(0, Reason.UNDERAGE)]


def between(opening: int, closing: int) -> ElectionRules:
    """Return RULES with polling hours, in milliseconds from NOON."""
    noon = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
    hours = PollingHours(
        noon + timedelta(milliseconds=opening), noon + timedelta(milliseconds=closing)
    )
    return attrs.evolve(RULES, hours=hours)


def test_only_ballots_cast_while_the_polls_are_open_count() -> None:
    """By the record's timestamp in milliseconds: the opening counts, the closing does not."""
    voters = ["v1", "v2", "v1", "v1", "v1"]
    times = [-1, 0, 1, 2, 3]
    ballots = [
        record(offset, voter_id, NOON + time, choice="ada")
        for offset, (voter_id, time) in enumerate(zip(voters, times, strict=True))
    ]
    assert decide(*ballots, rules=between(0, 2)) == [
        (0, Reason.OUTSIDE_HOURS),
        (1, "ada"),
        (2, "ada"),
        (3, Reason.OUTSIDE_HOURS),
        (4, Reason.OUTSIDE_HOURS),
    ]


def test_a_time_is_exact_to_the_millisecond() -> None:
    """A record's time is its timestamp, centuries from now as well."""
    for timestamp in (NOON + 1, 253_402_300_799_999, -62_135_596_800_000):
        time = BallotRecord(Coordinates("T", 0, 0), timestamp, b"").time
        assert (time - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1) == timestamp
        assert time.microsecond % 1000 == 0


@pytest.mark.parametrize(
    ("ballot", "reason"),
    [
        (record(0, "stranger", gender="", choice="zoe"), Reason.MALFORMED),
        (record(0, "stranger", choice="zoe"), Reason.OUTSIDE_HOURS),
        (record(0, "young", choice="zoe"), Reason.OUTSIDE_HOURS),
    ],
)
def test_a_closed_poll_comes_after_malformed_and_before_all_else(
    ballot: BallotRecord, reason: Reason
) -> None:
    """The reason does not reveal whether the voter is registered."""
    assert decide(ballot, rules=between(1, 2)) == [(0, reason)]


def test_the_voter_is_checked_before_the_choice() -> None:
    """Of several broken rules the first is the reason: the register, the age, the candidate."""
    assert decide(record(0, "stranger", choice="zoe"), record(1, "young", choice="zoe")) == [
        (0, Reason.UNREGISTERED),
        (1, Reason.UNDERAGE),
    ]


def test_a_duplicate_ballot_that_breaks_a_rule_is_rejected_for_that_rule() -> None:
    """Only a ballot that would have counted is rejected as already_voted."""
    ballots = [record(0, choice="ada"), record(1, choice="zoe")]
    late = record(2, timestamp=NOON + 9, choice="ada")
    assert decide(*ballots, late, rules=between(0, 9)) == [
        (0, "ada"),
        (1, Reason.UNKNOWN_CANDIDATE),
        (2, Reason.OUTSIDE_HOURS),
    ]


def test_without_candidates_nothing_can_be_drawn() -> None:
    """Without candidates a ballot without a choice is rejected, and the count goes on."""
    no_candidates = ElectionRules(set(), ChoiceDraw.over([], "seed"), BEGAN)
    assert decide(record(0), rules=no_candidates) == [(0, Reason.UNKNOWN_CANDIDATE)]


def test_a_live_election_draws_no_choice() -> None:
    """The reason comes after those of the voter, who is not in the register or too young."""
    live = attrs.evolve(RULES, draw=None)
    assert decide(record(0), record(1, "young"), record(2, choice="ada"), rules=live) == [
        (0, Reason.NO_CHOICE),
        (1, Reason.UNDERAGE),
        (2, "ada"),
    ]


def test_a_timestamp_before_the_election_is_malformed() -> None:
    """Seconds in place of milliseconds, for instance; the begin itself is in time."""
    began = attrs.evolve(RULES, began_at=datetime(2026, 11, 3, 12, 0, tzinfo=UTC))
    seconds = NOON // 1000
    ballots = [
        record(n, timestamp=t, choice="ada") for n, t in enumerate((seconds, NOON - 1, NOON))
    ]
    assert decide(*ballots, rules=began) == [
        (0, Reason.MALFORMED),
        (1, Reason.MALFORMED),
        (2, "ada"),
    ]


def test_the_rules_are_those_of_the_election() -> None:
    """A live election draws no choice; the candidates are those of the moment."""
    election = Election(election_id="one", began_at=BEGAN)
    assert ElectionRules.of(election, ["ada"]).draw == ChoiceDraw.over(["ada"], "voting")
    live = attrs.evolve(election, mode=ElectionMode.LIVE)
    assert ElectionRules.of(live, ["ada"]).draw is None


def test_the_first_valid_ballot_of_a_voter_counts() -> None:
    """An invalid ballot before it does not use up the vote; a later one is a duplicate."""
    assert decide(
        record(0, choice="zoe"),
        record(1, choice="bob"),
        record(2, choice="ada"),
        record(3, "v2", choice="ada"),
    ) == [
        (0, Reason.UNKNOWN_CANDIDATE),
        (1, "bob"),
        (2, Reason.ALREADY_VOTED),
        (3, "ada"),
    ]


def test_a_rejection_keeps_evidence_of_bounded_size() -> None:
    """Size and digest are of the whole record; of its bytes the first 4 KiB are kept."""
    value = b"\x00\xff" * 5000
    _, (rejection,) = read_ballots([BallotRecord(Coordinates("T", 0, 0), NOON, value)], BEGAN)
    assert (rejection.size, rejection.sha256, rejection.head) == (
        10_000,
        hashlib.sha256(value).digest(),
        value[:HEAD_BYTES],
    )
