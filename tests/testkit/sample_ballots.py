"""A small election with good and bad ballots, and the count that it must have."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import attrs

from testkit.checker.consistency import find_problems
from testkit.checker.evidence import RegisteredVoter
from testkit.election import Election
from voting_core.database.voter_register import add_candidates, add_voters
from voting_core.kafka import ReliableProducer
from voting_core.models import Address, Candidate, Voter
from voting_core.serialization import encode_voter
from voting_core.topics import VOTERS

__all__ = [
    "CANDIDATES",
    "assert_counted",
    "eligible_choices",
    "sample_voters",
    "send_ballots",
    "send_sample_ballots",
]

CANDIDATES = (Candidate("ada", "Ada"), Candidate("bob", "Bob"))


def sample_voters(count: int = 300) -> list[Voter]:
    """Return voters with a choice each; every tenth is under age."""
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


def eligible_choices(voters: Sequence[Voter]) -> dict[str, str | None]:
    """Return the choice of each voter of age by voter_id."""
    return {voter.voter_id: voter.choice for voter in voters if voter.date_of_birth.year < 2000}


def send_ballots(election: Election, ballots: Iterable[Voter | bytes]) -> None:
    """Send ballots, or other bytes, to voters_topic."""
    producer = ReliableProducer(election.kafka)
    producer.send(
        VOTERS.name,
        [
            (b"key", ballot)
            if isinstance(ballot, bytes)
            else (ballot.voter_id.encode(), encode_voter(ballot))
            for ballot in ballots
        ],
    )
    producer.flush()


def send_sample_ballots(election: Election) -> None:
    """Register the sample voters and send their ballots, and a few bad and repeated ones."""
    voters = sample_voters()
    add_candidates(election.conn, CANDIDATES)
    add_voters(election.conn, voters)
    unregistered = Voter("x", "X", date(1980, 1, 1), "male", Address("State 0"), choice="ada")
    send_ballots(election, [*voters, b"\xff not JSON \x00", unregistered, *voters[:5]])


def assert_counted(
    election: Election, register: Mapping[str, RegisteredVoter] | None = None
) -> None:
    """Check that every sample ballot has exactly the decision that it must have.

    Args:
        election: With the sample ballots, all of them decided.
        register: The voters as they were when the ballots were decided, if changed since.
    """
    evidence = election.gather_evidence()
    if register is not None:
        evidence = attrs.evolve(evidence, voters=register)
    assert find_problems(evidence) == []
    assert evidence.stored_choices == eligible_choices(sample_voters())
    assert evidence.rejected == {
        "underage": 30,
        "already_voted": 5,
        "malformed": 1,
        "unregistered": 1,
    }
