"""The results in the formats in which they are published."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import attrs
import jsonschema
import pytest
from sample_bundle import CANVASS, sample_votes, tally_of

from voting_core.operator.results import nist, tables
from voting_core.operator.results.exceptions import ContentError
from voting_core.operator.results.model import Canvass, ResultsStatus, Tally

SCHEMA = json.loads(
    (Path(__file__).parent / "schemas" / "NIST_V2_election_results_reporting.json").read_text(
        encoding="utf-8"
    )
)
VALIDATOR = jsonschema.Draft4Validator(
    SCHEMA, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER
)
VOTES = sample_votes()
TALLY = tally_of(VOTES)


def report(canvass: Canvass = CANVASS, tally: Tally = TALLY) -> dict[str, Any]:
    """Return the report as somebody reads it."""
    found: dict[str, Any] = json.loads(nist.results_json(canvass, tally))
    return found


@pytest.mark.parametrize("status", ResultsStatus)
def test_the_report_is_valid_with_every_status(status: ResultsStatus) -> None:
    """Every status gives a report of that status that the schema of NIST SP 1500-100 accepts."""
    found = report(attrs.evolve(CANVASS, status=status))
    VALIDATOR.validate(found)
    assert found["Status"] == status.value


def test_the_report_of_nothing_is_valid() -> None:
    """Before the first candidate, voter and vote there is a valid report already."""
    empty = attrs.evolve(CANVASS, candidates=(), registered={}, rejections={})
    VALIDATOR.validate(report(empty, Tally()))


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("type", nist.ELECTION_TYPES),
        ("jurisdiction_type", nist.REPORTING_UNIT_TYPES),
        ("location_type", nist.REPORTING_UNIT_TYPES),
    ],
)
def test_every_type_that_can_be_chosen_is_valid(field: str, values: tuple[str, ...]) -> None:
    """The types offered are those of the schema."""
    for value in values:
        change: dict[str, Any] = {field: value}
        election = attrs.evolve(CANVASS.election, **change)
        VALIDATOR.validate(report(attrs.evolve(CANVASS, election=election)))


def test_the_report_gives_the_votes_of_everyone_everywhere() -> None:
    """Each candidate's count in the jurisdiction and in each location is that of the votes."""
    found = report()
    units = {unit["@id"]: unit["Name"]["Text"][0]["Content"] for unit in found["GpUnit"]}
    election = found["Election"][0]
    names = {c["@id"]: c["ExternalIdentifier"][0]["Value"] for c in election["Candidate"]}
    counts = {
        (names[selection["CandidateIds"][0]], units[count["GpUnitId"]]): count["Count"]
        for selection in election["Contest"][0]["ContestSelection"]
        for count in selection["VoteCounts"]
    }
    places = ("Iowa", "Ohio", "Utah", "Ålesund")
    assert counts == {
        (candidate.candidate_id, place): sum(
            vote.candidate_id == candidate.candidate_id and place in (vote.location, "Everywhere")
            for vote in VOTES
        )
        for candidate in CANVASS.candidates
        for place in (*places, "Everywhere")
    }
    turnout = {
        units[unit["@id"]]: (unit["VotersParticipated"], unit["VotersRegistered"])
        for unit in found["GpUnit"]
    }
    assert turnout == {
        "Everywhere": (25, 48),
        "Iowa": (6, 5),
        "Ohio": (13, 40),
        "Utah": (0, 3),
        "Ålesund": (6, 0),
    }


def test_every_reference_in_the_report_leads_somewhere() -> None:
    """What one part calls another by is the identifier of exactly one object."""
    identifiers: list[str] = []
    references: list[str] = []

    def walk(value: Any, name: str = "") -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, key)
        elif isinstance(value, list):
            for inner in value:
                walk(inner, name)
        elif name == "@id":
            identifiers.append(value)
        elif name.endswith(("Id", "Ids")) and name != "VendorApplicationId":
            references.append(value)

    walk(report())
    assert len(identifiers) == len(set(identifiers))
    assert set(references) <= set(identifiers)
    assert {"party-1", "person-1", "candidate-1", "location-4"} <= set(references)


def test_results_csv_holds_every_candidate_and_location() -> None:
    """Each pair has a row with its votes and all votes there, in the columns of results files."""
    rows = list(csv.DictReader(io.StringIO(tables.results_csv(CANVASS, TALLY).decode())))
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
        (place, name): (
            sum(vote.candidate_id == key and vote.location == place for vote in VOTES),
            sum(vote.location == place for vote in VOTES),
        )
        for place in ("Iowa", "Ohio", "Utah", "Ålesund")
        for key, name in names.items()
    }


def test_tables_come_back_as_they_were_written() -> None:
    """Reading what was written gives the same, with quotes, commas and line breaks."""
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
def test_a_table_that_cannot_be_is_refused(content: bytes, line: int | None) -> None:
    """A table that was not written so is refused, with the line that is to blame."""
    with pytest.raises(ContentError) as caught:
        tables.read_counts(content, ("reason", "records"))
    assert caught.value.line == line
