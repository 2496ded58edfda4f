"""The tables of a bundle."""

import csv
import io

import attrs
import pytest
from sample_bundle import CANVASS, sample_votes, totals_of

from voting_core.operator.results import tables
from voting_core.operator.results.exceptions import ContentError

VOTES = sample_votes()
TOTALS = totals_of(VOTES)


def test_results_csv_contains_every_candidate_and_location() -> None:
    """Each candidate and location has a row with its votes and all votes of the location."""
    rows = list(csv.DictReader(io.StringIO(tables.results_csv(CANVASS, TOTALS).decode())))
    assert list(rows[0]) == [
        *("year", "state", "county_name", "county_fips", "office"),
        *("candidate", "party", "candidatevotes", "totalvotes"),
    ]
    assert {(row["year"], row["office"]) for row in rows} == {("2020", "SAMPLE PRESIDENT")}
    names = {candidate.candidate_id: candidate.candidate_name for candidate in CANVASS.candidates}
    found = {
        (row["state"], row["candidate"]): (int(row["candidatevotes"]), int(row["totalvotes"]))
        for row in rows
    }
    assert len(found) == len(rows)
    assert found == {
        (location, name): (
            sum(vote.candidate_id == key and vote.location == location for vote in VOTES),
            sum(vote.location == location for vote in VOTES),
        )
        for location in ("Iowa", "Ohio", "Utah", "Ålesund")
        for key, name in names.items()
    }


def test_tables_are_read_as_they_were_written() -> None:
    """Reading a table returns what was written, including quotes, commas and line breaks."""
    odd = (
        attrs.evolve(CANVASS.candidates[0], candidate_id='a\n"b",\r\nc'),
        *CANVASS.candidates[1:],
    )
    assert tables.read_candidates(tables.candidates_csv(odd)) == odd
    columns = ("location", "registered_voters")
    content = tables.counts_csv(columns, CANVASS.registered.items())
    assert tables.read_counts(content, columns) == CANVASS.registered


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", 1),
        (b"reason,number\n", 1),
        (b"reason,records\na,1,2\n", 2),
        (b"reason,records\na,1\nb,one\n", 3),
        (b"reason,records\na,1\n\xff,1\n", 3),
        (b'reason,records\n"a"b,1\n', 2),
        (b"reason,records\nb,1\na,1\n", None),
        (b"reason,records\na,1\na,1\n", None),
        (b"reason,records\na,-1\n", None),
    ],
)
def test_an_invalid_table_is_refused(content: bytes, line: int | None) -> None:
    """An invalid table is an error with the number of the invalid line."""
    with pytest.raises(ContentError) as caught:
        tables.read_counts(content, ("reason", "records"))
    assert caught.value.line == line
