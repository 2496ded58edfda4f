"""The values that travel through the system."""

import enum
from datetime import date, datetime

import attrs

__all__ = [
    "Address",
    "Candidate",
    "Coordinates",
    "Reason",
    "Rejection",
    "StoredVote",
    "Vote",
    "Voter",
]


@attrs.frozen
class Candidate:
    """Somebody, or a list, that can be voted for."""

    candidate_id: str
    candidate_name: str
    party_affiliation: str = ""
    biography: str = ""
    campaign_platforms: str = ""
    photo_url: str = ""


@attrs.frozen
class Address:
    """Where a voter lives; `state` is the location that votes are tallied by."""

    state: str
    street: str = ""
    city: str = ""
    country: str = ""
    postcode: str = ""


@attrs.frozen
class Voter:
    """A voter as `voters_topic` carries it.

    Attributes:
        registered_age: Age in years when registered; the age of a vote is computed anew.
        choice: The candidate_id on the ballot, or None when the consumer is to draw one.
    """

    voter_id: str
    voter_name: str
    date_of_birth: date
    gender: str
    address: Address
    nationality: str = ""
    registration_number: str = ""
    email: str = ""
    phone_number: str = ""
    picture: str = ""
    registered_age: int | None = None
    choice: str | None = None


@attrs.frozen(order=True)
class Coordinates:
    """Which record of Kafka something came from; unlike a name, a topic's id is never reused."""

    topic_id: str
    partition: int
    offset: int


class Reason(enum.StrEnum):
    """Why a record was not counted."""

    MALFORMED = "malformed"
    UNREGISTERED = "unregistered"
    UNDERAGE = "underage"
    UNKNOWN_CANDIDATE = "unknown_candidate"
    ALREADY_VOTED = "already_voted"
    OUTSIDE_HOURS = "outside_hours"


@attrs.frozen
class Vote:
    """An accepted vote as the table `votes` holds it: final once committed.

    State, gender and age are those of the register at the moment of the decision.
    """

    coordinates: Coordinates
    voter_id: str
    candidate_id: str
    voting_time: datetime
    state: str
    gender: str
    age: int


@attrs.frozen
class StoredVote:
    """A vote read back, with what `votes_topic` says of its candidate."""

    vote: Vote
    candidate_name: str
    party_affiliation: str


@attrs.frozen
class Rejection:
    """A record that was not counted, and the beginning of it as evidence.

    Attributes:
        time: The record's own timestamp.
        size: Length of the record's value in bytes.
        sha256: Digest of the whole value, 32 bytes.
        head: The first 4,096 bytes of the value.
    """

    coordinates: Coordinates
    voter_id: str | None
    reason: Reason
    detail: str
    time: datetime
    size: int
    sha256: bytes
    head: bytes
