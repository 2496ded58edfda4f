"""The report in the format of NIST SP 1500-100."""

import json
from pathlib import Path
from typing import Any

import attrs
import jsonschema
import pytest
from sample_bundle import CANVASS, sample_votes, totals_of

from voting_core.operator.results import nist
from voting_core.operator.results.model import Canvass, ResultsStatus, VoteLogTotals

SCHEMA = json.loads(
    (Path(__file__).parent / "schemas" / "NIST_V2_election_results_reporting.json").read_text(
        encoding="utf-8"
    )
)
VALIDATOR = jsonschema.Draft4Validator(
    SCHEMA, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER
)
VOTES = sample_votes()
TOTALS = totals_of(VOTES)


def report(canvass: Canvass = CANVASS, totals: VoteLogTotals = TOTALS) -> dict[str, Any]:
    """Return the decoded report."""
    found: dict[str, Any] = json.loads(nist.results_json(canvass, totals))
    return found


@pytest.mark.parametrize("status", ResultsStatus)
def test_the_report_is_valid_with_every_status(status: ResultsStatus) -> None:
    """The report of every status is valid by the schema of NIST SP 1500-100."""
    found = report(attrs.evolve(CANVASS, status=status))
    VALIDATOR.validate(found)
    assert found["Status"] == status.value


def test_an_empty_report_is_valid() -> None:
    """The report without candidates, voters and votes is valid."""
    empty = attrs.evolve(CANVASS, candidates=(), registered={}, rejections={})
    VALIDATOR.validate(report(empty, VoteLogTotals()))


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("type", nist.ELECTION_TYPES),
        ("jurisdiction_type", nist.REPORTING_UNIT_TYPES),
        ("location_type", nist.REPORTING_UNIT_TYPES),
    ],
)
def test_every_type_that_can_be_chosen_is_valid(field: str, values: tuple[str, ...]) -> None:
    """Every election and reporting unit type is one of the schema's."""
    for value in values:
        change: dict[str, Any] = {field: value}
        election = attrs.evolve(CANVASS.election, **change)
        VALIDATOR.validate(report(attrs.evolve(CANVASS, election=election)))


def test_the_report_contains_all_counts() -> None:
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
    locations = ("Iowa", "Ohio", "Utah", "Ålesund")
    assert counts == {
        (candidate.candidate_id, location): sum(
            vote.candidate_id == candidate.candidate_id
            and location in (vote.location, "Everywhere")
            for vote in VOTES
        )
        for candidate in CANVASS.candidates
        for location in (*locations, "Everywhere")
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


def test_every_reference_in_the_report_is_valid() -> None:
    """Every reference is the identifier of exactly one object."""
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
