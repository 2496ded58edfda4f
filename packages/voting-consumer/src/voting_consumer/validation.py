"""The rules that a ballot must meet: from a record and the register to a vote or a rejection.

A ballot that breaks several rules is rejected for the first of them in this order:

1. `malformed`: the voter or the time cannot be read, or the time is before the election, so no
   other rule can be checked.
2. `outside_hours`: by the record's own timestamp, for every sender. A record that arrives while the
   polls are closed is not a ballot, so its reason must not reveal who is registered or has voted.
3. `unregistered`: age and location come from the register, so the voter must be in it.
4. `underage`: eligibility comes before the choice.
5. `no_choice`: in a live election, which draws none.
6. `unknown_candidate`: the last rule that concerns this ballot alone.
7. `already_voted`: last, so that only a ballot that would have counted uses up the vote.

All functions are pure: none reads a clock, a database or a topic.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta

import attrs

from voting_core.election import Election
from voting_core.exceptions import SerializationError
from voting_core.models import Coordinates, Reason, RegisteredVoter, Rejection, Vote
from voting_core.rules import VOTING_AGE, ChoiceDraw, PollingHours, age_on, begin_violation
from voting_core.serialization import decode_voter

HEAD_BYTES = 4096
"""Bytes of a rejected record that are kept as evidence."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@attrs.frozen
class BallotRecord:
    """A record of `voters_topic`.

    Attributes:
        timestamp: Milliseconds since 1970-01-01 UTC, as Kafka stores it.
        value: The record's value; None if it has none.
    """

    coordinates: Coordinates
    timestamp: int
    value: bytes | None

    @property
    def time(self) -> datetime:
        """The timestamp in UTC.

        Raises:
            ValueError: It is outside the years 1 to 9999.
        """
        try:
            # In integers, because a float is not exact to the millisecond.
            return _EPOCH + timedelta(milliseconds=self.timestamp)
        except OverflowError as error:
            raise ValueError(str(error)) from error


@attrs.frozen
class Ballot:
    """A well-formed record: when and by whom it was cast and, if the record has one, the choice."""

    record: BallotRecord
    time: datetime
    voter_id: str
    choice: str | None


@attrs.frozen
class ElectionRules:
    """What ballots are checked against besides the register.

    Attributes:
        candidate_ids: The registered candidates.
        draw: Draws the choice for a ballot without one; None if it is rejected.
        began_at: A ballot with an earlier timestamp is malformed.
        hours: When ballots count, by their records' timestamps.
        voting_age: Minimum age in completed years.
    """

    candidate_ids: Collection[str]
    draw: ChoiceDraw | None
    began_at: datetime
    hours: PollingHours = attrs.field(factory=PollingHours)
    voting_age: int = VOTING_AGE

    @classmethod
    def of(cls, election: Election, candidate_ids: Collection[str]) -> "ElectionRules":
        """Return the rules of an election with these candidates."""
        rules = election.rules
        draw = None
        if not election.is_live:
            draw = ChoiceDraw.over(candidate_ids, rules.draw_seed, rules.draw_weights)
        return cls(candidate_ids, draw, election.began_at, rules.hours, rules.voting_age)


def read_ballots(
    records: Iterable[BallotRecord], began_at: datetime
) -> tuple[list[Ballot], list[Rejection]]:
    """Return the ballots in well-formed records, and the rejections of the malformed ones.

    A record with a timestamp before the election began is malformed. Both lists are in the order of
    the records.
    """
    ballots, malformed = [], []
    for record in records:
        try:
            time = record.time
            if violation := begin_violation(time, began_at):
                raise SerializationError(violation)
            voter = decode_voter(record.value)
        except (SerializationError, ValueError) as error:
            malformed.append(reject(record, None, Reason.MALFORMED, str(error)))
        else:
            ballots.append(Ballot(record, time, voter.voter_id, voter.choice))
    return ballots, malformed


def validate(
    ballots: Iterable[Ballot], register: Mapping[str, RegisteredVoter], rules: ElectionRules
) -> tuple[list[Vote], list[Rejection]]:
    """Decide on ballots in the order given; of a voter's valid ballots the first counts.

    The register has the registered voters among those who cast the ballots, by voter_id.

    Returns:
        The votes, at most one per voter, and the rejections. Earlier votes of these voters are not
        known here.
    """
    votes: dict[str, Vote] = {}
    rejections = []
    for ballot in ballots:
        decision = _validate_one(ballot, register.get(ballot.voter_id), rules)
        if isinstance(decision, Rejection):
            rejections.append(decision)
        elif ballot.voter_id in votes:
            rejections.append(duplicate_ballot(ballot))
        else:
            votes[ballot.voter_id] = decision
    return list(votes.values()), rejections


def _validate_one(
    ballot: Ballot, voter: RegisteredVoter | None, rules: ElectionRules
) -> Vote | Rejection:
    def rejected(reason: Reason, detail: str) -> Rejection:
        return reject(ballot.record, ballot.voter_id, reason, detail)

    time = ballot.time
    if violation := rules.hours.violation(time):
        return rejected(Reason.OUTSIDE_HOURS, violation)
    if voter is None:
        return rejected(Reason.UNREGISTERED, "not in the register")
    age = age_on(voter.date_of_birth, time.date())
    if age < rules.voting_age:
        return rejected(
            Reason.UNDERAGE, f"{age} years old on {time.date()}, not {rules.voting_age}"
        )
    choice = ballot.choice
    if choice is None:
        if rules.draw is None:
            return rejected(Reason.NO_CHOICE, "no choice, and a live election draws none")
        if not rules.draw.candidate_ids:
            return rejected(Reason.UNKNOWN_CANDIDATE, "no choice, and no candidate to draw")
        choice = rules.draw.choice(ballot.voter_id)
    if choice not in rules.candidate_ids:
        return rejected(Reason.UNKNOWN_CANDIDATE, f"{choice!r} is no candidate")
    return Vote(
        coordinates=ballot.record.coordinates,
        voter_id=ballot.voter_id,
        candidate_id=choice,
        voting_time=time,
        state=voter.state,
        gender=voter.gender,
        age=age,
    )


def duplicate_ballot(ballot: Ballot) -> Rejection:
    """Return the rejection of a ballot whose voter already has a vote."""
    return reject(
        ballot.record, ballot.voter_id, Reason.ALREADY_VOTED, "this voter has a vote already"
    )


def reject(record: BallotRecord, voter_id: str | None, reason: Reason, detail: str) -> Rejection:
    """Return the rejection of a record, with its first bytes as evidence."""
    value = record.value or b""
    try:
        time = record.time
    except ValueError:
        time = _EPOCH
    return Rejection(
        coordinates=record.coordinates,
        voter_id=voter_id,
        reason=reason,
        detail=detail,
        time=time,
        size=len(value),
        sha256=hashlib.sha256(value).digest(),
        head=value[:HEAD_BYTES],
    )
