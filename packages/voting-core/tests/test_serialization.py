"""What may travel on the topics."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from voting_core.checkpoint import (
    OutputPosition,
    PartitionCheckpoint,
    decode_checkpoint,
    encode_checkpoint,
)
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
    """VOTER as JSON, with some fields replaced."""
    return json.dumps(json.loads(encode_voter(VOTER)) | fields).encode()


def test_a_voter_survives_the_journey() -> None:
    """What is written is read back the same."""
    assert decode_voter(encode_voter(VOTER)) == VOTER


def test_a_voter_without_choice_says_nothing_of_it() -> None:
    """The choice is left out, not null, when there is none."""
    without = Voter("v1", "N", date(1980, 1, 1), "f", Address("Ohio"))
    assert b"choice" not in encode_voter(without)
    assert decode_voter(encode_voter(without)) == without


def test_unknown_fields_are_passed_over() -> None:
    """A newer sender does not break an older reader."""
    assert decode_voter(changed(shoe_size=[42, {"eu": True}])) == VOTER


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (None, "no value"),
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "expected an object, found a list"),
        (b"null", "expected an object, found nothing"),
        (b'{"a":' * 5000, "not JSON"),
        (b" " * (MAX_VOTER_BYTES + 1), "oversized"),
        (b"{}", "voter_id: required, but missing"),
        (changed(voter_id=7), "voter_id: expected a text, found a number"),
        (changed(voter_id=""), "voter_id: must not be empty"),
        (changed(voter_id="  "), "voter_id: must not be empty"),
        (changed(voter_id="x" * 257), "voter_id: longer than 256"),
        (changed(voter_id="a\0b"), "voter_id: a NUL"),
        (changed(voter_name=None), "voter_name: expected a text, found nothing"),
        (changed(gender=""), "gender: must not be empty"),
        (changed(date_of_birth="29.2.1980"), "date_of_birth: expected a date"),
        (changed(date_of_birth="1981-02-29"), "date_of_birth: day"),
        (changed(address="Ohio"), "address: expected an object, found a text"),
        (changed(address={}), "address.state: required, but missing"),
        (changed(address={"state": ""}), "address.state: must not be empty"),
        (changed(registered_age=True), "registered_age: expected a whole number"),
        (changed(registered_age=44.0), "registered_age: expected a whole number"),
        (changed(choice=["ada"]), "choice: expected a text, found a list"),
        (changed(choice=""), "choice: must not be empty"),
        (encode_voter(VOTER).replace(b"44", b"NaN"), "not JSON"),
    ],
)
def test_says_what_is_wrong_and_where(record: bytes | None, message: str) -> None:
    """A malformed voter is refused with the first fault and its place, in one line."""
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
        ({"candidate_name": 7}, "candidate_name: expected a text, found a number"),
        ({"biography": "a\0b"}, "biography: a NUL"),
    ],
)
def test_a_candidate_has_an_id_and_a_name(change: dict[str, Any], message: str) -> None:
    """What is wrong with a candidate is told like what is wrong with a voter."""
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
    """An accepted vote carries exactly these fields, none that names the voter."""
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


def test_a_rejection_carries_its_evidence() -> None:
    """Reason, place, size, digest and the beginning of the record are told."""
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


def test_times_are_told_in_utc() -> None:
    """Another zone's time is converted, and cut to milliseconds."""
    zone = timezone(timedelta(hours=-5))
    assert iso_utc(datetime(2026, 11, 3, 19, 0, 0, 1_999, tzinfo=zone)) == (
        "2026-11-04T00:00:00.001Z"
    )


def test_compound_keys_are_compact_arrays() -> None:
    """The same parts give the same bytes as the tally's keys."""
    assert compound_key("São Tomé", "ada") == '["São Tomé","ada"]'.encode()


PROGRESS = PartitionCheckpoint(
    "T", 3, votes=OutputPosition("V", 10), rejected_votes=OutputPosition("R", 4)
)


def test_progress_survives_the_journey() -> None:
    """What is written is read back the same, and says the next offset by itself."""
    assert decode_checkpoint(encode_checkpoint(PROGRESS)) == PROGRESS
    assert json.loads(encode_checkpoint(PROGRESS))["next_offset"] == 4
    assert PROGRESS.key == b'["T",3]'


def test_progress_never_goes_back() -> None:
    """Each output keeps what it has reached when the other one catches up."""
    assert PROGRESS.advanced_to(7) == PartitionCheckpoint(
        "T", 3, OutputPosition("V", 10), OutputPosition("R", 7)
    )
    assert PROGRESS.advanced_to(12) == PartitionCheckpoint(
        "T", 3, OutputPosition("V", 12), OutputPosition("R", 12)
    )


def test_progress_of_another_shape_is_refused() -> None:
    """A record that is no progress record raises."""
    with pytest.raises(SerializationError, match="votes: required"):
        decode_checkpoint(b'{"voters_topic_id":"T","partition":0}')
