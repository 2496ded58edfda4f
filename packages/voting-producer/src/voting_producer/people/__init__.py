"""Fictitious voters: their names, their states, and how likely they are to vote."""

from voting_producer.people.states import STATES, State, find_state
from voting_producer.people.voters import (
    DIGEST_BYTES,
    REFERENCE_DAY,
    invent_voter,
    sample_age,
    sample_state,
    sample_turnout,
)

__all__ = [
    "DIGEST_BYTES",
    "REFERENCE_DAY",
    "STATES",
    "State",
    "find_state",
    "invent_voter",
    "sample_age",
    "sample_state",
    "sample_turnout",
]
