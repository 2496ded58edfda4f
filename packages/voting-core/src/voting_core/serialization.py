"""JSON serialization of the topics' records, with precise errors for invalid ones.

Decoding is strict: no value is converted to another type. Unknown fields are ignored, so that a
newer sender does not break an older reader.
"""

import base64
import re
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import attrs
import cattrs
import orjson
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.preconf.orjson import OrjsonConverter, make_converter

from voting_core.exceptions import SerializationError
from voting_core.models import Address, Candidate, Rejection, StoredVote, Voter

MAX_VOTER_BYTES = 1_000_000
"""A longer record of `voters_topic` is rejected without being parsed."""

MAX_ID_CHARS = 256
"""Ids are keys of tables; PostgreSQL cannot index a text of more than about 2,700 bytes."""

T = TypeVar("T")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _text(value: Any, _: type) -> str:
    if type(value) is not str:
        raise TypeError(f"expected a text, found {_kind(value)}")
    if "\0" in value:
        raise ValueError("a NUL character cannot be stored")
    return value


def _whole_number(value: Any, _: type) -> int:
    if type(value) is not int:
        raise TypeError(f"expected a whole number, found {_kind(value)}")
    return value


def _day(value: Any, _: type) -> date:
    text = _text(value, str)
    if not _ISO_DATE.fullmatch(text):
        raise ValueError("expected a date as YYYY-MM-DD")
    return date.fromisoformat(text)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return "nothing" if value is None else names.get(type(value), "a number")


def _converter(*, detailed: bool) -> OrjsonConverter:
    converter = make_converter(detailed_validation=detailed)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(int, _whole_number)
    converter.register_structure_hook(date, _day)
    structure_address = make_dict_structure_fn(Address, converter)

    def address(value: Any, kind: type) -> Address:
        if type(value) is not dict:
            raise TypeError(f"expected an object, found {_kind(value)}")
        return structure_address(value, kind)

    converter.register_structure_hook(Address, address)
    converter.register_unstructure_hook(
        Voter,
        make_dict_unstructure_fn(
            Voter,
            converter,
            choice=override(omit_if_default=True),
            registered_age=override(omit_if_default=True),
        ),
    )
    return converter


# Detailed validation is slower, so only invalid records are decoded with it, a second time.
_fast = _converter(detailed=False)
_precise = _converter(detailed=True)


def compound_key(*parts: str | int) -> bytes:
    """Return a record's compound key: a compact JSON array."""
    return orjson.dumps(parts)


def iso_utc(time: datetime) -> str:
    """Return a time in UTC with milliseconds, such as 2024-11-05T17:03:59.250Z."""
    # strftime does not pad years before 1000.
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def decode_object(value: bytes | None) -> dict[str, Any]:
    """Return the JSON object that a record's value holds.

    Raises:
        SerializationError: The value is not a JSON object.
    """
    if value is None:
        raise SerializationError("the record has no value")
    try:
        found = orjson.loads(value)
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise SerializationError(f"not JSON: {error}") from error
    if type(found) is not dict:
        raise SerializationError(f"expected an object, found {_kind(found)}")
    return found


def encode_voter(voter: Voter) -> bytes:
    """Return a voter as a value of `voters_topic`."""
    return orjson.dumps(_fast.unstructure(voter))


def decode_voter(value: bytes | None) -> Voter:
    """Return the voter that a value of `voters_topic` holds.

    Raises:
        SerializationError: The value is invalid; the message names the first invalid field.
    """
    if value is not None and len(value) > MAX_VOTER_BYTES:
        raise SerializationError(
            f"oversized: {len(value):,} bytes, at most {MAX_VOTER_BYTES:,} are read"
        )
    return read_voter(decode_object(value))


def read_voter(fields: dict[str, Any]) -> Voter:
    """Return the voter that a JSON object with a nested address describes.

    Raises:
        SerializationError: The object is invalid; the message names the first invalid field.
    """
    voter = structure(fields, Voter)
    _check_filled(
        ("voter_id", voter.voter_id),
        ("voter_name", voter.voter_name),
        ("gender", voter.gender),
        ("address.state", voter.address.state),
        ("choice", voter.choice),
    )
    _check_ids(("voter_id", voter.voter_id), ("choice", voter.choice))
    return voter


def read_candidate(fields: dict[str, Any]) -> Candidate:
    """Return the candidate that a JSON object describes.

    Raises:
        SerializationError: The object is invalid; the message names the first invalid field.
    """
    candidate = structure(fields, Candidate)
    _check_filled(
        ("candidate_id", candidate.candidate_id), ("candidate_name", candidate.candidate_name)
    )
    _check_ids(("candidate_id", candidate.candidate_id))
    return candidate


def _check_filled(*texts: tuple[str, str | None]) -> None:
    for name, text in texts:
        if text is not None and not text.strip():
            raise SerializationError(f"{name}: must not be empty")


def _check_ids(*texts: tuple[str, str | None]) -> None:
    for name, text in texts:
        if text is not None and len(text) > MAX_ID_CHARS:
            raise SerializationError(f"{name}: longer than {MAX_ID_CHARS} characters")


def structure(found: dict[str, Any], kind: type[T]) -> T:
    """Return a JSON object as an instance of an attrs class.

    Raises:
        SerializationError: The object is invalid; the message names the first invalid field.
    """
    try:
        return _fast.structure(found, kind)
    except (KeyError, TypeError, ValueError):
        try:
            return _precise.structure(found, kind)
        except cattrs.BaseValidationError as error:
            raise SerializationError(_first_error(error)) from error


def _first_error(error: cattrs.BaseValidationError) -> str:
    def describe(exc: BaseException, _: type | None) -> str:
        return "required, but missing" if isinstance(exc, KeyError) else str(exc)

    message, _, path = cattrs.transform_error(error, path="$", format_exception=describe)[
        0
    ].rpartition(" @ ")
    return f"{path.removeprefix('$.')}: {message}"


def encode_vote(stored: StoredVote) -> bytes:
    """Return an accepted vote as a value of `votes_topic`; it does not identify the voter."""
    vote = stored.vote
    return orjson.dumps(
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
    return orjson.dumps(
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
