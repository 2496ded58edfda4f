"""JSON serialization of the topics' records, with precise errors for invalid ones.

Decoding is strict: no value is converted to another type. Unknown fields are ignored, so that a
newer sender does not break an older reader.
"""

import base64
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from operator import attrgetter
from typing import Any, TypeVar

import attrs
import msgspec

from voting_core.exceptions import SerializationError
from voting_core.models import Address, Candidate, Rejection, StoredVote, Voter

MAX_VOTER_BYTES = 1_000_000
"""A longer record of `voters_topic` is rejected without being parsed."""

MAX_ID_CHARS = 256
"""Ids are keys of tables; PostgreSQL cannot index a text of more than about 2,700 bytes."""

MAX_AGE = 2**31 - 1
"""PostgreSQL cannot store a larger integer."""

MAX_DEPTH = 200
"""How deep objects and arrays may be nested. msgspec's own limit depends on the caller's stack."""

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode
_decode_voter = msgspec.json.Decoder(Voter).decode

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")

# How msgspec ends a message about a field: the field's JSON path.
_PATH = re.compile(r" - at `\$\.?(.*)`$")
_MISSING = re.compile(r"Object missing required field `(.*)`")


def compound_key(*parts: str | int) -> bytes:
    """Return a record's compound key: a compact JSON array."""
    return _encode(parts)


def iso_utc(time: datetime) -> str:
    """Return a time in UTC with milliseconds, such as 2024-11-05T17:03:59.250Z."""
    # strftime does not pad years before 1000.
    return time.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def decode_json(value: bytes) -> Any:
    """Return what a JSON text holds.

    Raises:
        SerializationError: It is not JSON in UTF-8, or nested deeper than `MAX_DEPTH`.
    """
    return _parse(msgspec.json.decode, value)


def decode_object(value: bytes | None) -> dict[str, Any]:
    """Return the JSON object that a record's value holds.

    Raises:
        SerializationError: The value is not a JSON object.
    """
    return _parse(_decode_object, value)


def _parse(decode: Callable[[bytes], T], value: bytes | None) -> T:
    """Return what a decoder reads in a record's value.

    Raises:
        SerializationError: The value is not JSON in UTF-8, or the decoder refuses it.
    """
    if value is None:
        raise SerializationError("the record has no value")
    try:
        # msgspec does not look into fields that it skips.
        value.decode()
        _check_depth(value)
        return decode(value)
    except msgspec.ValidationError as error:
        raise SerializationError(_describe(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SerializationError(f"not JSON: {error}") from error


def _check_depth(value: bytes) -> None:
    """Check the nesting of a JSON text, or of what begins like one.

    Raises:
        SerializationError: It is nested deeper than `MAX_DEPTH`.
    """
    if value.count(b"[") + value.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", value)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise SerializationError(f"not JSON: nested deeper than {MAX_DEPTH} levels")


def _describe(error: msgspec.ValidationError) -> str:
    """Return the message with the field first, such as "address.state: expected `str`, got …"."""
    message = str(error)
    path = ""
    if at := _PATH.search(message):
        path, message = at[1], message[: at.start()]
    if missing := _MISSING.fullmatch(message):
        path, message = ".".join(filter(None, (path, missing[1]))), "required, but missing"
    message = message.replace("Invalid RFC3339 encoded date", "expected a date as YYYY-MM-DD")
    return f"{path}: {message[0].lower()}{message[1:]}".removeprefix(": ")


class _VoterRecord(msgspec.Struct, omit_defaults=True):
    """A voter's fields in their order; the last two are omitted without a value.

    msgspec omits defaults of its own classes only.
    """

    voter_id: str
    voter_name: str
    date_of_birth: date
    gender: str
    address: Address
    nationality: str
    registration_number: str
    email: str
    phone_number: str
    picture: str
    registered_age: int | None = None
    choice: str | None = None


_voter_fields: Callable[[Voter], tuple[Any, ...]] = attrgetter(*_VoterRecord.__struct_fields__)


def encode_voter(voter: Voter) -> bytes:
    """Return a voter as a value of `voters_topic`."""
    return _encode(_VoterRecord(*_voter_fields(voter)))


def decode_voter(value: bytes | None) -> Voter:
    """Return the voter that a value of `voters_topic` holds.

    Raises:
        SerializationError: The value is invalid; the message names the first invalid field.
    """
    if value is not None and len(value) > MAX_VOTER_BYTES:
        raise SerializationError(
            f"oversized: {len(value):,} bytes, at most {MAX_VOTER_BYTES:,} are read"
        )
    voter = _parse(_decode_voter, value)
    # A NUL character can only be an escape sequence.
    _check_voter(voter, may_contain_nul=value is not None and b"\\u0000" in value)
    return voter


def read_voter(fields: dict[str, Any]) -> Voter:
    """Return the voter that a JSON object with a nested address describes.

    Raises:
        SerializationError: The object is invalid; the message names the first invalid field.
    """
    voter = structure(fields, Voter)
    _check_voter(voter, may_contain_nul=True)
    return voter


def _check_voter(voter: Voter, *, may_contain_nul: bool) -> None:
    if may_contain_nul:
        _check_no_nul(voter)
    if voter.registered_age is not None and abs(voter.registered_age) > MAX_AGE:
        raise SerializationError(f"registered_age: expected at most {MAX_AGE}")
    _check_filled("voter_id", voter.voter_id)
    _check_filled("voter_name", voter.voter_name)
    _check_filled("gender", voter.gender)
    _check_filled("address.state", voter.address.state)
    _check_id("voter_id", voter.voter_id)
    if voter.choice is not None:
        _check_filled("choice", voter.choice)
        _check_id("choice", voter.choice)


def read_candidate(fields: dict[str, Any]) -> Candidate:
    """Return the candidate that a JSON object describes.

    Raises:
        SerializationError: The object is invalid; the message names the first invalid field.
    """
    candidate = structure(fields, Candidate)
    _check_no_nul(candidate)
    _check_filled("candidate_id", candidate.candidate_id)
    _check_filled("candidate_name", candidate.candidate_name)
    _check_id("candidate_id", candidate.candidate_id)
    return candidate


def _check_no_nul(found: Voter | Candidate) -> None:
    def check(fields: dict[str, Any], path: str) -> None:
        for name, value in fields.items():
            if isinstance(value, dict):
                check(value, f"{name}.")
            elif isinstance(value, str) and "\0" in value:
                raise SerializationError(f"{path}{name}: a NUL character cannot be stored")

    check(attrs.asdict(found), "")


def _check_filled(name: str, text: str) -> None:
    if not text.strip():
        raise SerializationError(f"{name}: must not be empty")


def _check_id(name: str, text: str) -> None:
    if len(text) > MAX_ID_CHARS:
        raise SerializationError(f"{name}: longer than {MAX_ID_CHARS} characters")


def structure(found: dict[str, Any], kind: type[T]) -> T:
    """Return a JSON object as an instance of an attrs class.

    Raises:
        SerializationError: The object is invalid; the message names the first invalid field.
    """
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise SerializationError(_describe(error)) from error


def encode_vote(stored: StoredVote) -> bytes:
    """Return an accepted vote as a value of `votes_topic`; it does not identify the voter."""
    vote = stored.vote
    return _encode(
        {
            "voter_id": vote.voter_id,
            "candidate_id": vote.candidate_id,
            "candidate_name": stored.candidate_name,
            "party_affiliation": stored.party_affiliation,
            "state": vote.state,
            "gender": vote.gender,
            "age": vote.age,
            "voting_time": iso_utc(vote.voting_time),
            "vote": 1,
        }
    )


def encode_rejection(rejection: Rejection) -> bytes:
    """Return a rejection as a value of `rejected_votes_topic`."""
    return _encode(
        {
            "voter_id": rejection.voter_id,
            "reason": rejection.reason,
            "detail": rejection.detail,
            "coordinates": attrs.asdict(rejection.coordinates),
            "time": iso_utc(rejection.time),
            "size": rejection.size,
            "sha256": rejection.sha256.hex(),
            "record_base64": base64.b64encode(rejection.head).decode("ascii"),
        }
    )
