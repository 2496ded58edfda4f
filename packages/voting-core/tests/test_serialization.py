"""The JSON of the topics' records."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest

from voting_core.exceptions import SerializationError
from voting_core.models import (
    Address,
    Candidate,
    Coordinates,
    Reason,
    Rejection,
    StoredVote,
    Vote,
    Voter,
)
from voting_core.serialization import (
    MAX_DEPTH,
    MAX_VOTER_BYTES,
    compound_key,
    decode_voter,
    encode_rejection,
    encode_vote,
    encode_voter,
    iso_utc,
    read_candidate,
)

VOTER = Voter(
    voter_id="v1",
    voter_name="Zoë Ångström",
    date_of_birth=date(1980, 2, 29),
    gender="female",
    address=Address(state="Ohio", city="Akron"),
    registered_age=44,
    choice="ada",
)


def changed(**fields: Any) -> bytes:
    """Return VOTER as JSON, with some fields replaced."""
    return json.dumps(json.loads(encode_voter(VOTER)) | fields).encode()


def test_a_voter_is_decoded_as_it_was_encoded() -> None:
    """Decoding an encoded voter returns the same voter."""
    assert decode_voter(encode_voter(VOTER)) == VOTER


def test_a_record_has_every_field_of_a_voter() -> None:
    """A field that is added to the voter is sent, too."""
    named = json.loads(encode_voter(VOTER))
    assert set(named) == {field.name for field in attrs.fields(Voter)}


@pytest.mark.parametrize("callers", [0, 400])
def test_the_limit_of_nesting_is_that_of_every_caller(callers: int) -> None:
    """Whatever its own depth: all services must find the same records malformed."""

    def decode(depth: int, calls: int = callers) -> Voter:
        return decode(depth, calls - 1) if calls else decode_voter(nested(depth))

    def nested(depth: int) -> bytes:
        return changed(shoe_size="?").replace(b'"?"', b"[" * depth + b'"[\\"["' + b"]" * depth)

    assert decode(MAX_DEPTH - 1) == VOTER
    with pytest.raises(SerializationError, match="nested deeper than 200"):
        decode(MAX_DEPTH)


def test_a_missing_choice_is_omitted() -> None:
    """A voter without a choice has no field for it, not a null."""
    without = Voter("v1", "N", date(1980, 1, 1), "f", Address("Ohio"))
    assert b"choice" not in encode_voter(without)
    assert decode_voter(encode_voter(without)) == without


def test_unknown_fields_are_ignored() -> None:
    """A newer sender does not break an older reader."""
    assert decode_voter(changed(shoe_size=[42, {"eu": True}])) == VOTER


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (None, "no value"),
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "expected `object`, got `array`"),
        (b"null", "expected `object`, got `null`"),
        (b'{"a":' * 5000, "not JSON"),
        (b" " * (MAX_VOTER_BYTES + 1), "oversized"),
        (b"{}", "voter_id: required, but missing"),
        (changed(voter_id=7), "voter_id: expected `str`, got `int`"),
        (changed(voter_id=""), "voter_id: must not be empty"),
        (changed(voter_id="  "), "voter_id: must not be empty"),
        (changed(voter_id="x" * 257), "voter_id: longer than 256"),
        (changed(voter_id="a\0b"), "voter_id: a NUL"),
        (changed(address={"state": "S", "city": "a\0b"}), "address.city: a NUL"),
        (changed(voter_name=None), "voter_name: expected `str`, got `null`"),
        (changed(gender=""), "gender: must not be empty"),
        (changed(date_of_birth="29.2.1980"), "date_of_birth: expected a date as YYYY-MM-DD"),
        (changed(date_of_birth="1981-02-29"), "date_of_birth: expected a date as YYYY-MM-DD"),
        (changed(address="Ohio"), "address: expected `object`, got `str`"),
        (changed(address={}), "address.state: required, but missing"),
        (changed(address={"state": ""}), "address.state: must not be empty"),
        (changed(registered_age=True), "registered_age: expected `int | null`, got `bool`"),
        (changed(registered_age=44.0), "registered_age: expected `int | null`, got `float`"),
        (changed(registered_age=10**30), "registered_age: expected at most"),
        (changed(choice=["ada"]), "choice: expected `str | null`, got `array`"),
        (changed(choice=""), "choice: must not be empty"),
        (encode_voter(VOTER).replace(b"44", b"NaN"), "not JSON"),
        (changed(shoe_size="?").replace(b"?", b"\xff"), "not JSON"),
        (changed(shoe_size="?").replace(b"?", rb"\ud800"), "not JSON"),
    ],
)
def test_an_error_names_the_first_invalid_field(record: bytes | None, message: str) -> None:
    """A malformed voter is refused with the first invalid field and the reason, in one line."""
    with pytest.raises(SerializationError) as caught:
        decode_voter(record)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"candidate_id": " "}, "candidate_id: must not be empty"),
        ({"candidate_id": "x" * 257}, "candidate_id: longer than 256"),
        ({"candidate_name": ""}, "candidate_name: must not be empty"),
        ({"candidate_name": 7}, "candidate_name: expected `str`, got `int`"),
        ({"biography": "a\0b"}, "biography: a NUL"),
    ],
)
def test_a_candidate_has_an_id_and_a_name(change: dict[str, Any], message: str) -> None:
    """A candidate without an id or a name is refused with the field's name."""
    fields = {"candidate_id": "ada", "candidate_name": "Ada"}
    assert read_candidate(fields) == Candidate("ada", "Ada")
    with pytest.raises(SerializationError, match=message):
        read_candidate(fields | change)


VOTE = Vote(
    coordinates=Coordinates("T", 1, 42),
    voter_id="v1",
    candidate_id="ada",
    voting_time=datetime(2026, 11, 3, 12, 0, 59, 250_999, tzinfo=UTC),
    state="Ohio",
    gender="female",
    age=46,
)


def test_a_vote_is_pseudonymous() -> None:
    """An accepted vote has exactly these fields, none of which identifies a person."""
    assert json.loads(encode_vote(StoredVote(VOTE, "Ada", "Engines"))) == {
        "voter_id": "v1",
        "candidate_id": "ada",
        "candidate_name": "Ada",
        "party_affiliation": "Engines",
        "state": "Ohio",
        "gender": "female",
        "age": 46,
        "voting_time": "2026-11-03T12:00:59.250Z",
        "vote": 1,
    }


def test_a_rejection_contains_its_evidence() -> None:
    """A rejection has the reason, and the record's coordinates, size, digest and start."""
    rejection = Rejection(
        coordinates=Coordinates("T", 1, 42),
        voter_id=None,
        reason=Reason.MALFORMED,
        detail="not JSON",
        time=VOTE.voting_time,
        size=3,
        sha256=bytes(32),
        head=b"\xff\x00a",
    )
    assert json.loads(encode_rejection(rejection)) == {
        "voter_id": None,
        "reason": "malformed",
        "detail": "not JSON",
        "coordinates": {"topic_id": "T", "partition": 1, "offset": 42},
        "time": "2026-11-03T12:00:59.250Z",
        "size": 3,
        "sha256": "00" * 32,
        "record_base64": "/wBh",
    }


def test_times_are_written_in_utc() -> None:
    """A time in another zone is converted and truncated to milliseconds."""
    zone = timezone(timedelta(hours=-5))
    assert iso_utc(datetime(2026, 11, 3, 19, 0, 0, 1_999, tzinfo=zone)) == (
        "2026-11-04T00:00:00.001Z"
    )


def test_compound_keys_are_compact_arrays() -> None:
    """The key has the same bytes as the key of an aggregate."""
    assert compound_key("São Tomé", "ada") == '["São Tomé","ada"]'.encode()
