"""Voters from a seed."""

from itertools import islice

import pytest

from voting_producer.sources.synthetic import SyntheticSource


@pytest.mark.parametrize("voters", [1, 2, 1000])
def test_exactly_so_many_vote(voters: int) -> None:
    """As many people vote as were asked for, and the last on the register is one of them."""
    people = list(SyntheticSource("7", voters).registrations())
    assert sum(votes for _, votes in people) == voters
    assert people[-1].votes


def test_same_seed_gives_same_voters() -> None:
    """The register is a matter of the seed alone, and a longer one begins like a shorter one."""
    short = list(SyntheticSource("7", 200).registrations())
    assert short == list(SyntheticSource("7", 200).registrations())
    assert short == list(islice(SyntheticSource("7", 400).registrations(), len(short)))


def test_other_seed_gives_other_voters() -> None:
    """Two seeds have nobody in common, also when one begins like the other."""
    ids = [
        {voter.voter_id for voter, _ in SyntheticSource(seed, 500).registrations()}
        for seed in ("1", "11", "")
    ]
    assert sum(map(len, ids)) == len(ids[0] | ids[1] | ids[2])


def test_about_two_thirds_turn_out() -> None:
    """Of all on the register about two in three vote, and nobody brings a choice."""
    people = list(SyntheticSource("seed", 20_000).registrations())
    assert 20_000 / len(people) == pytest.approx(0.67, abs=0.02)
    assert {voter.choice for voter, _ in people} == {None}
    assert len({voter.voter_id for voter, _ in people}) == len(people)
