"""The arithmetic of a rehearsal, and its voters."""

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from results_rows import ROWS, plain_totals

from voting_producer.people import REFERENCE_DAY
from voting_producer.sources.results import ResultsSource, voters_per_row
from voting_producer.sources.results_file import ResultRow, read_results


@given(ROWS, st.integers(1, 3000))
def test_each_total_is_the_floor_of_the_quotient(
    rows: list[tuple[str, str, int]], scale: int
) -> None:
    """A candidate's voters in a state are its total divided by the scale, rounded down."""
    counted: Counter[tuple[str, str]] = Counter()
    numbered = [ResultRow(number, *row) for number, row in enumerate(rows, start=1)]
    for row, voters in voters_per_row(numbered, scale):
        assert voters >= 0
        counted[row.candidate, row.state] += voters
    assert dict(+counted) == plain_totals(rows, scale)


@pytest.mark.parametrize("scale", [997, 1000, 20_000, 10**9])
def test_real_file_gives_exact_totals(results_2020: Path, scale: int) -> None:
    """In the 2020 election every candidate gets exactly its share in every state."""
    with results_2020.open(newline="") as file:
        rows = [
            (row["state"], row["candidate"], int(row["candidatevotes"]))
            for row in csv.DictReader(file)
        ]
    expected = plain_totals(rows, scale)
    source = ResultsSource(read_results(results_2020), scale)
    names = {c.candidate_id: c.candidate_name for c in source.candidates}
    found: Counter[tuple[str, str]] = Counter()
    ids = set()
    for voter, casts_ballot in source.registrations():
        assert casts_ballot
        found[names[voter.choice or ""], voter.address.state] += 1
        ids.add(voter.voter_id)
    assert dict(found) == expected
    assert source.expected == sum(expected.values()) == len(ids)


def test_rows_of_one_county_add_up(write_results: Callable[..., Path]) -> None:
    """Votes that are split over rows, by mode for example, are not rounded row by row."""
    file = read_results(write_results(*[("OHIO", "ANN", "RED", 400)] * 5))
    assert [n for _, n in voters_per_row(file.rows, 1000)] == [0, 0, 1, 0, 1]


def test_candidates_come_from_the_file(write_results: Callable[..., Path]) -> None:
    """Every candidate of the file is a candidate, even without a voter at this scale."""
    file = read_results(write_results(("OHIO", "ANN", "RED", 10), ("OHIO", "BOB", "BLUE", 0)))
    source = ResultsSource(file, 10)
    assert [(c.candidate_name, c.party_affiliation) for c in source.candidates] == [
        ("ANN", "RED"),
        ("BOB", "BLUE"),
    ]
    assert [v.choice for v, _ in source.registrations()] == [source.candidates[0].candidate_id]


def test_second_run_repeats_the_first(write_results: Callable[..., Path]) -> None:
    """The same file and scale give the same voters, in every field."""
    path = write_results(("OHIO", "ANN", "RED", 50), ("TEXAS", "ANN", "RED", 50))
    first = list(ResultsSource(read_results(path), 10).registrations())
    assert first == list(ResultsSource(read_results(path), 10).registrations())
    assert len(first) == 10


def test_other_file_or_scale_gives_other_voters(write_results: Callable[..., Path]) -> None:
    """Two files, or two scales, have no voter in common."""
    runs = []
    for votes, scale in ((50, 10), (51, 10), (50, 5)):
        file = read_results(write_results(("OHIO", "ANN", "RED", votes)))
        runs.append({v.voter_id for v, _ in ResultsSource(file, scale).registrations()})
    assert runs[0].isdisjoint(runs[1] | runs[2])


def test_row_and_index_are_separate(write_results: Callable[..., Path]) -> None:
    """Voter 11 of row 1 differs from voter 1 of row 11."""
    file = read_results(write_results(*[("OHIO", "ANN", "RED", 20)] * 12))
    ids = [v.voter_id for v, _ in ResultsSource(file, 1).registrations()]
    assert len(set(ids)) == len(ids) == 240


def test_location_is_spelled_as_in_the_file(write_results: Callable[..., Path]) -> None:
    """A state keeps the file's spelling, and a state outside the US has no US address."""
    file = read_results(write_results(("OHIO", "ANN", "RED", 1), ("Bayern", "ANN", "RED", 1)))
    ohio, bayern = (v for v, _ in ResultsSource(file, 1).registrations())
    assert (ohio.address.state, ohio.address.country) == ("OHIO", "United States")
    assert ohio.address.postcode[0] == "4"
    assert (bayern.address.state, bayern.address.country, bayern.nationality) == ("Bayern", "", "")
    assert bayern.date_of_birth < REFERENCE_DAY
