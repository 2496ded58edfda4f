"""The values that pass between the services: candidates, voters, votes and rejections."""

import enum
from datetime import date, datetime

import attrs


@attrs.frozen
class Candidate:
    """A candidate, or a list of candidates, on the ballot."""

    candidate_id: str
    candidate_name: str
    party_affiliation: str = ""
    biography: str = ""
    campaign_platforms: str = ""
    photo_url: str = ""


@attrs.frozen
class Address:
    """A voter's address; `state` is the location by which votes are counted."""

    state: str
    street: str = ""
    city: str = ""
    country: str = ""
    postcode: str = ""


@attrs.frozen
class Voter:
    """A voter as a record of `voters_topic`.

    Attributes:
        registered_age: Age in years at registration; decisions use the date of birth instead.
        choice: The candidate_id on the ballot, or None if the consumer draws one.
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


@attrs.frozen
class RegisteredVoter:
    """The registered data that a decision on a ballot needs."""

    voter_id: str
    date_of_birth: date
    gender: str
    state: str


@attrs.frozen(order=True)
class Coordinates:
    """The position of a Kafka record; unlike a topic's name, its id is never reused."""

    topic_id: str
    partition: int
    offset: int


class Reason(enum.StrEnum):
    """The reason code of a rejection."""

    MALFORMED = "malformed"
    UNREGISTERED = "unregistered"
    UNDERAGE = "underage"
    NO_CHOICE = "no_choice"
    UNKNOWN_CANDIDATE = "unknown_candidate"
    ALREADY_VOTED = "already_voted"
    OUTSIDE_HOURS = "outside_hours"


@attrs.frozen
class Vote:
    """An accepted vote, a row of the table `votes`: final once committed.

    State, gender and age are the register's at the time of the decision.
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
    """A vote read from the database, with its candidate's name and party."""

    vote: Vote
    candidate_name: str
    party_affiliation: str


@attrs.frozen
class Rejection:
    """A record that was not counted, with the start of its value as evidence.

    Attributes:
        time: The record's timestamp.
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
