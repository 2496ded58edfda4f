"""Fictitious voters."""

import hashlib
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voting_core.models import Address
from voting_core.rules import age_on
from voting_core.serialization import decode_voter, encode_voter
from voting_producer.people import (
    DIGEST_BYTES,
    REFERENCE_DAY,
    STATES,
    find_state,
    invent_voter,
    sample_age,
    sample_state,
    sample_turnout,
)

DIGESTS = st.binary(min_size=DIGEST_BYTES, max_size=DIGEST_BYTES)


def many(number: int) -> list[bytes]:
    """Return a number of digests."""
    return [hashlib.blake2b(b"%d" % n, digest_size=DIGEST_BYTES).digest() for n in range(number)]


@given(DIGESTS)
def test_every_voter_is_a_valid_adult(digest: bytes) -> None:
    """Any digest gives a voter of 18 to 100 that can be encoded and decoded."""
    voter = invent_voter(digest, sample_state(digest))
    assert 18 <= age_on(voter.date_of_birth, REFERENCE_DAY) <= 100
    assert voter.registered_age == age_on(voter.date_of_birth, REFERENCE_DAY) == sample_age(digest)
    assert decode_voter(encode_voter(voter)) == voter


@given(DIGESTS)
def test_no_real_person_can_be_contacted(digest: bytes) -> None:
    """E-mail addresses and telephone numbers are reserved for examples and fiction."""
    voter = invent_voter(digest, STATES[0])
    assert re.fullmatch(r"[a-z]+\.[a-z]+\.[0-9a-f]{6}@example\.com", voter.email)
    assert re.fullmatch(r"\(\d{3}\) 555-01\d\d", voter.phone_number)
    assert voter.picture == ""


def test_a_voter_never_changes() -> None:
    """The same digest gives the same voter in every release, so that a run can be repeated."""
    voter = invent_voter(bytes(range(48)), find_state("Ohio"), "x")
    assert voter.voter_id == "000102030405060708090a0b0c0d0e0f"
    assert (voter.voter_name, voter.gender) == ("Willa P. Olsen", "female")
    assert str(voter.date_of_birth) == "2000-04-24"
    assert voter.address == Address(
        "Ohio", "3741 Cherry Avenue", "Blueton", "United States", "40795"
    )
    assert voter.choice == "x"


def test_states_are_drawn_by_population() -> None:
    """Each state has its share of the voters, including the District of Columbia."""
    counts = Counter(sample_state(digest).name for digest in many(60_000))
    total = sum(state.population for state in STATES)
    assert len(STATES) == 51
    for state in STATES:
        share = state.population / total
        assert counts[state.name] == pytest.approx(60_000 * share, abs=5 * (60_000 * share) ** 0.5)


def test_ages_and_genders_are_plausible() -> None:
    """About one voter in five is 65 or older, one in eight under 25, and half are women."""
    voters = [invent_voter(digest, STATES[0]) for digest in many(20_000)]
    ages = [voter.registered_age or 0 for voter in voters]
    assert sum(age >= 65 for age in ages) / 20_000 == pytest.approx(0.213, abs=0.02)
    assert sum(age < 25 for age in ages) / 20_000 == pytest.approx(0.119, abs=0.02)
    assert sum(v.gender == "female" for v in voters) / 20_000 == pytest.approx(0.513, abs=0.02)


def test_turnout_depends_on_state_and_age() -> None:
    """Turnout is higher in Minnesota than in Oklahoma, and among the old, as in the tables."""
    digests = many(20_000)

    def share(state: str, age: int) -> float:
        return sum(sample_turnout(d, find_state(state), age) for d in digests) / len(digests)

    assert share("Minnesota", 68) == pytest.approx(0.80 * 1.14, abs=0.02)
    assert share("Minnesota", 20) == pytest.approx(0.80 * 0.80, abs=0.02)
    assert share("Oklahoma", 20) == pytest.approx(0.55 * 0.80, abs=0.02)
