"""Who stands."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voting_core.exceptions import InputError
from voting_core.models import Candidate
from voting_producer.candidates import DEFAULT_CANDIDATES, candidate_id, candidates_to_add

ANN = Candidate(candidate_id("ANN"), "ANN", "RED")
BOB = Candidate(candidate_id("BOB"), "BOB", "BLUE")


def by_id(*candidates: Candidate) -> dict[str, Candidate]:
    """Return candidates as the register gives them."""
    return {candidate.candidate_id: candidate for candidate in candidates}


def test_three_stand_by_default() -> None:
    """Without candidates anywhere, three are made up, each complete and of another party."""
    assert candidates_to_add((), {}) == DEFAULT_CANDIDATES
    assert len({c.party_affiliation for c in DEFAULT_CANDIDATES}) == 3
    assert len(by_id(*DEFAULT_CANDIDATES)) == 3
    for candidate in DEFAULT_CANDIDATES:
        assert candidate.candidate_name
        assert candidate.biography
        assert candidate.campaign_platforms


def test_candidates_of_a_file_are_registered() -> None:
    """When nobody is registered, those whom the source brings are."""
    assert candidates_to_add((ANN, BOB), {}) == (ANN, BOB)


def test_registered_candidates_stay() -> None:
    """Those registered are used as they are, whether or not the source brings the same."""
    assert candidates_to_add((), by_id(ANN)) == ()
    assert candidates_to_add((ANN,), by_id(ANN, BOB)) == ()
    assert candidates_to_add((ANN,), by_id(attrs.evolve(ANN, biography="known"))) == ()


@pytest.mark.parametrize(
    "registered",
    [BOB, attrs.evolve(ANN, party_affiliation="BLUE"), attrs.evolve(ANN, candidate_name="Anna")],
)
def test_contradiction_is_refused(registered: Candidate) -> None:
    """Somebody who is not registered with the same id, name and party is an error."""
    with pytest.raises(InputError, match=r"contradict.*'ANN' \(RED\)"):
        candidates_to_add((BOB, ANN), by_id(BOB, registered))


def test_id_is_readable_and_fixed() -> None:
    """An id shows whom it means and never changes, or a rerun would contradict itself."""
    assert candidate_id("JOSEPH R BIDEN JR") == "joseph-r-biden-jr-db7b0463"
    assert candidate_id("Márkus Söder").startswith("markus-soder-")
    assert candidate_id("王") != candidate_id("李")


@given(st.text(min_size=1), st.text(min_size=1))
def test_ids_differ_as_names_do(one: str, other: str) -> None:
    """Two names have one id only if they are the same name."""
    assert (candidate_id(one) == candidate_id(other)) == (one == other)


@given(st.text(min_size=1))
def test_id_is_short_and_plain(name: str) -> None:
    """An id is of small letters, digits and hyphens, and short enough for any key."""
    key = candidate_id(name)
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert 8 <= len(key) <= 49
