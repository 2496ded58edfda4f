"""Synthetic voters."""

from itertools import islice

import pytest

from voting_producer.sources.synthetic import SyntheticSource


@pytest.mark.parametrize("voters", [1, 2, 1000])
def test_the_number_of_ballots_is_exact(voters: int) -> None:
    """There are as many ballots as requested, and the last voter casts one."""
    registrations = list(SyntheticSource("7", voters).registrations())
    assert sum(each.casts_ballot for each in registrations) == voters
    assert registrations[-1].casts_ballot


def test_same_seed_gives_same_voters() -> None:
    """The register depends on the seed alone, and a longer one begins like a shorter one."""
    short = list(SyntheticSource("7", 200).registrations())
    assert short == list(SyntheticSource("7", 200).registrations())
    assert short == list(islice(SyntheticSource("7", 400).registrations(), len(short)))


def test_other_seed_gives_other_voters() -> None:
    """Two seeds have no voter in common, even if one begins like the other."""
    ids = [
        {voter.voter_id for voter, _ in SyntheticSource(seed, 500).registrations()}
        for seed in ("1", "11", "")
    ]
    assert sum(map(len, ids)) == len(ids[0] | ids[1] | ids[2])


def test_about_two_thirds_turn_out() -> None:
    """About two in three registered voters cast a ballot, and none has a choice."""
    registrations = list(SyntheticSource("seed", 20_000).registrations())
    assert 20_000 / len(registrations) == pytest.approx(0.67, abs=0.02)
    assert {voter.choice for voter, _ in registrations} == {None}
    assert len({voter.voter_id for voter, _ in registrations}) == len(registrations)
