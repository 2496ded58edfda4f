"""The candidates of an election."""

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
    """Return candidates as the register returns them."""
    return {candidate.candidate_id: candidate for candidate in candidates}


def test_there_are_three_candidates_by_default() -> None:
    """Without candidates in the source and the register, there are three fictitious ones."""
    assert candidates_to_add((), {}) == DEFAULT_CANDIDATES
    assert len({c.party_affiliation for c in DEFAULT_CANDIDATES}) == 3
    assert len(by_id(*DEFAULT_CANDIDATES)) == 3
    for candidate in DEFAULT_CANDIDATES:
        assert candidate.candidate_name
        assert candidate.biography
        assert candidate.campaign_platforms


def test_candidates_of_a_file_are_registered() -> None:
    """Without registered candidates, those of the source are registered."""
    assert candidates_to_add((ANN, BOB), {}) == (ANN, BOB)


def test_registered_candidates_stay() -> None:
    """Registered candidates are used as they are, whether or not the source has the same."""
    assert candidates_to_add((), by_id(ANN)) == ()
    assert candidates_to_add((ANN,), by_id(ANN, BOB)) == ()
    assert candidates_to_add((ANN,), by_id(attrs.evolve(ANN, biography="known"))) == ()


@pytest.mark.parametrize(
    "registered",
    [BOB, attrs.evolve(ANN, party_affiliation="BLUE"), attrs.evolve(ANN, candidate_name="Anna")],
)
def test_contradiction_is_refused(registered: Candidate) -> None:
    """A candidate that is not registered with the same id, name and party is an error."""
    with pytest.raises(InputError, match=r"contradict.*'ANN' \(RED\)"):
        candidates_to_add((BOB, ANN), by_id(BOB, registered))


def test_id_is_readable_and_fixed() -> None:
    """An id is derived from the name and never changes, so that a run can be repeated."""
    assert candidate_id("JOSEPH R BIDEN JR") == "joseph-r-biden-jr-db7b0463"
    assert candidate_id("Márkus Söder").startswith("markus-soder-")
    assert candidate_id("王") != candidate_id("李")


@given(st.text(min_size=1), st.text(min_size=1))
def test_ids_differ_if_names_do(one: str, other: str) -> None:
    """Two names have the same id only if they are equal."""
    assert (candidate_id(one) == candidate_id(other)) == (one == other)


@given(st.text(min_size=1))
def test_id_is_short_ascii(name: str) -> None:
    """An id has lower-case letters, digits and hyphens, and at most 49 characters."""
    key = candidate_id(name)
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert 8 <= len(key) <= 49
