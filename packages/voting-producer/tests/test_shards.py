"""Shards of an election: every ballot is in exactly one."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from fake_random_user import FakeRandomUser
from hypothesis import given
from hypothesis import strategies as st
from results_rows import ROWS, plain_totals

from voting_core.exceptions import InputError
from voting_producer.service import make_source
from voting_producer.settings import ProducerSettings
from voting_producer.shards import Shard
from voting_producer.sources import Registration, Source
from voting_producer.sources.random_user import RandomUserSource
from voting_producer.sources.random_user_api import RandomUserApi
from voting_producer.sources.results import ResultsSource
from voting_producer.sources.results_file import ResultRow, ResultsFile, read_results
from voting_producer.sources.synthetic import SyntheticSource


def shards(count: int) -> list[Shard]:
    """Return all shards of a whole."""
    return [Shard(number, count) for number in range(1, count + 1)]


def assert_shards_are_the_whole(whole: Source, parts: list[Source]) -> list[list[Registration]]:
    """Check that the parts are disjoint, in the whole's order and together the whole."""
    expected = list(whole.registrations())
    positions = {registration.voter.voter_id: n for n, registration in enumerate(expected)}
    assert len(positions) == len(expected)
    taken = [list(part.registrations()) for part in parts]
    for part, registrations in zip(parts, taken, strict=True):
        assert sum(casts_ballot for _, casts_ballot in registrations) == part.expected
        order = [positions[registration.voter.voter_id] for registration in registrations]
        assert order == sorted(order)
    found = [registration for registrations in taken for registration in registrations]
    assert len(found) == len(expected)
    assert {r.voter.voter_id: r for r in found} == {r.voter.voter_id: r for r in expected}
    assert sum(part.expected for part in parts) == whole.expected
    return taken


@given(st.integers(1, 50), st.integers(0, 500))
def test_shards_differ_by_one_at_most(count: int, items: int) -> None:
    """Every position is in exactly one shard, and the sizes agree."""
    parts = [list(part.within(range(items))) for part in shards(count)]
    assert sorted(position for part in parts for position in part) == list(range(items))
    sizes = [part.size(items) for part in shards(count)]
    assert sizes == [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 9), st.integers(0, 300), st.integers(0, 300))
def test_a_shard_of_a_range_is_the_range_of_the_shard(count: int, start: int, length: int) -> None:
    """Wherever a row of voters begins, the shard takes the positions that it has in the whole."""
    for part in shards(count):
        positions = range(start, start + length)
        assert list(part.within(positions)) == [n for n in positions if n in part]


@given(ROWS, st.integers(1, 3000), st.integers(1, 7))
def test_shards_of_results_keep_the_arithmetic(
    rows: list[tuple[str, str, int]], scale: int, count: int
) -> None:
    """All shards of a results file yield its voters, each once, and the totals are exact."""
    scale += sum(votes for *_, votes in rows) // 500
    numbered = tuple(ResultRow(number, *row) for number, row in enumerate(rows, start=1))
    file = ResultsFile(b"d" * 32, numbered, {candidate: "" for _, candidate, _ in rows})
    whole = ResultsSource(file, scale)
    parts: list[Source] = [ResultsSource(file, scale, part) for part in shards(count)]
    taken = assert_shards_are_the_whole(whole, parts)
    assert all(part.candidates == whole.candidates for part in parts)
    names = {c.candidate_id: c.candidate_name for c in whole.candidates}
    counted = Counter(
        (names[voter.choice or ""], voter.address.state) for part in taken for voter, _ in part
    )
    assert counted == plain_totals(rows, scale)


def test_shards_of_the_real_file(results_2020: Path) -> None:
    """Three shards of the 2020 election have its voters, and each state is in all of them."""
    file = read_results(results_2020)
    parts: list[Source] = [ResultsSource(file, 10_000, part) for part in shards(3)]
    taken = assert_shards_are_the_whole(ResultsSource(file, 10_000), parts)
    states = [{voter.address.state for voter, _ in part} for part in taken]
    assert len(states[0]) == 51
    assert states[0] == states[1] == states[2]


@given(st.integers(1, 60), st.integers(1, 7))
def test_shards_of_synthetic_voters(voters: int, count: int) -> None:
    """All shards of a seed have its whole register, including voters without a ballot."""
    parts: list[Source] = [SyntheticSource("7", voters, part) for part in shards(count)]
    assert_shards_are_the_whole(SyntheticSource("7", voters), parts)


@pytest.mark.parametrize(("voters", "count"), [(35, 2), (35, 4), (35, 9), (4, 2)])
def test_shards_of_random_users_request_different_pages(voters: int, count: int) -> None:
    """Each page is requested by one shard, in the size that the whole has."""
    with FakeRandomUser() as fake:

        def source(part: Shard) -> RandomUserSource:
            return RandomUserSource(RandomUserApi(fake.url, seed="s"), voters, 10, part)

        whole, parts = source(Shard(1, 1)), [source(part) for part in shards(count)]
        assert_shards_are_the_whole(whole, list(parts))
        requested = Counter((query["page"], query["results"]) for query in fake.requests)
        for each in (whole, *parts):
            each.close()
    size = str(min(10, voters))
    assert requested == {(str(page), size): 2 for page in range(1, -(-voters // 10) + 1)}


@pytest.mark.parametrize("text", ["0/2", "3/2", "x", "1", "1/0", "-1/2", "1/2/3", "", "½"])
def test_an_invalid_slice_is_refused(text: str) -> None:
    """The error shows the form of the option."""
    with pytest.raises(ValueError, match=r"'slice' must be I/N with I from 1 to N, such as 1/2"):
        ProducerSettings(slice=text)


def test_the_option_reaches_every_source(write_results: Callable[..., Path]) -> None:
    """The second of two shards has half of every source's voters."""
    path = write_results(("OHIO", "ANN", "RED", 50))
    settings = ProducerSettings(slice="2/2", voters=8, page_size=2)
    replay = make_source(attrs.evolve(settings, source="results", results=path, scale=10))
    synthetic = make_source(attrs.evolve(settings, source="synthetic"))
    random_user = make_source(attrs.evolve(settings, source="random-user"))
    assert (replay.expected, synthetic.expected, random_user.expected) == (2, 4, 4)
    random_user.close()


def test_the_limit_of_the_api_applies_to_the_whole() -> None:
    """Sharding does not give the API more pages."""
    with pytest.raises(InputError, match="more than the Random User API has"):
        make_source(
            ProducerSettings(source="random-user", voters=50_000_001, page_size=5000, slice="1/9")
        )
