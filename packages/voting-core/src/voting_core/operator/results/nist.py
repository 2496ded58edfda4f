"""The results in the common data format for election results reporting.

Source: J. Wack et al., Election Results Common Data Format Specification, NIST Special
Publication 1500-100r2 (2019), in the JSON form of its schema, version 2.
"""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

import msgspec

from voting_core.models import Candidate
from voting_core.operator.results.model import Canvass, Election, VoteLogTotals

ELECTION_TYPES = (
    "general",
    "partisan-primary-closed",
    "partisan-primary-open",
    "primary",
    "runoff",
    "special",
)
REPORTING_UNIT_TYPES = (
    "ballot-batch",
    "ballot-style-area",
    "borough",
    "city",
    "city-council",
    "combined-precinct",
    "congressional",
    "country",
    "county",
    "county-council",
    "drop-box",
    "judicial",
    "municipality",
    "polling-place",
    "precinct",
    "school",
    "special",
    "split-precinct",
    "state",
    "state-house",
    "state-senate",
    "town",
    "township",
    "utility",
    "village",
    "vote-center",
    "ward",
    "water",
)

LANGUAGE = "en"
JURISDICTION = "jurisdiction"
CONTEST = "contest-1"

Json = dict[str, Any]


def results_json(canvass: Canvass, totals: VoteLogTotals) -> bytes:
    """Return the report as the content of a file."""
    return msgspec.json.format(msgspec.json.encode(build_report(canvass, totals))) + b"\n"


def build_report(canvass: Canvass, totals: VoteLogTotals) -> Json:
    """Return the report: each candidate's votes in the whole jurisdiction and in each location."""
    election = canvass.election
    locations = canvass.locations(totals)
    location_ids = {name: f"location-{n}" for n, name in enumerate(locations, start=1)}
    parties = sorted({c.party_affiliation for c in canvass.candidates if c.party_affiliation})
    party_ids = {name: f"party-{n}" for n, name in enumerate(parties, start=1)}
    return {
        **_typed("ElectionReport"),
        "Format": "summary-contest",
        "GeneratedDate": canvass.created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Issuer": election.issuer,
        "IssuerAbbreviation": election.issuer_abbreviation,
        "IsTest": election.is_test,
        "SequenceStart": 1,
        "SequenceEnd": 1,
        "Status": canvass.status.value,
        "VendorApplicationId": canvass.software,
        "GpUnit": _reporting_units(election, locations, location_ids, totals),
        "Party": [
            {**_typed("Party", party_id), "Name": _text(name)}
            for name, party_id in party_ids.items()
        ],
        "Person": [
            {**_typed("Person", f"person-{n}"), "FullName": _text(candidate.candidate_name)}
            for n, candidate in enumerate(canvass.candidates, start=1)
        ],
        "Election": [
            {
                **_typed("Election"),
                "ElectionScopeId": JURISDICTION,
                "Name": _text(election.name),
                "StartDate": election.start_date.isoformat(),
                "EndDate": election.end_date.isoformat(),
                "Type": election.type,
                "Candidate": [
                    _candidate(n, candidate, party_ids)
                    for n, candidate in enumerate(canvass.candidates, start=1)
                ],
                "Contest": [_contest(canvass, totals, location_ids)],
            }
        ],
    }


def _typed(kind: str, identifier: str | None = None) -> Json:
    named = {} if identifier is None else {"@id": identifier}
    return {"@type": f"ElectionResults.{kind}", **named}


def _text(content: str) -> Json:
    return {
        **_typed("InternationalizedText"),
        "Text": [{**_typed("LanguageString"), "Content": content, "Language": LANGUAGE}],
    }


def _reporting_units(
    election: Election,
    registered: Mapping[str, int],
    location_ids: Mapping[str, str],
    totals: VoteLogTotals,
) -> list[Json]:
    voted = dict.fromkeys(registered, 0)
    for (location, _), votes in totals.by_location.items():
        voted[location] += votes
    whole = {
        **_typed("ReportingUnit", JURISDICTION),
        "Name": _text(election.jurisdiction),
        "Type": election.jurisdiction_type,
        "ComposingGpUnitIds": list(location_ids.values()),
        "VotersRegistered": sum(registered.values()),
        "VotersParticipated": totals.votes,
    }
    return [
        whole,
        *(
            {
                **_typed("ReportingUnit", location_id),
                "Name": _text(name),
                "Type": election.location_type,
                "VotersRegistered": registered[name],
                "VotersParticipated": voted[name],
            }
            for name, location_id in location_ids.items()
        ),
    ]


def _candidate(number: int, candidate: Candidate, party_ids: Mapping[str, str]) -> Json:
    party = candidate.party_affiliation
    return {
        **_typed("Candidate", f"candidate-{number}"),
        "BallotName": _text(candidate.candidate_name),
        "PersonId": f"person-{number}",
        **({"PartyId": party_ids[party]} if party else {}),
        "ExternalIdentifier": [
            {
                **_typed("ExternalIdentifier"),
                "Type": "other",
                "OtherType": "candidate_id",
                "Value": candidate.candidate_id,
            }
        ],
    }


def _contest(canvass: Canvass, totals: VoteLogTotals, location_ids: Mapping[str, str]) -> Json:
    selections = []
    for number, candidate in enumerate(canvass.candidates, start=1):
        votes = {
            location_id: totals.by_location[name, candidate.candidate_id]
            for name, location_id in location_ids.items()
        }
        selections.append(
            {
                **_typed("CandidateSelection", f"selection-{number}"),
                "CandidateIds": [f"candidate-{number}"],
                "SequenceOrder": number,
                "VoteCounts": [
                    _vote_counts(JURISDICTION, sum(votes.values())),
                    *(_vote_counts(location_id, count) for location_id, count in votes.items()),
                ],
            }
        )
    return {
        **_typed("CandidateContest", CONTEST),
        "Name": canvass.election.contest,
        "ElectionDistrictId": JURISDICTION,
        "VotesAllowed": 1,
        "NumberElected": 1,
        "VoteVariation": "plurality",
        "CountStatus": [
            {
                **_typed("CountStatus"),
                "Type": "total",
                "Status": "completed" if canvass.status.is_complete else "in-process",
            }
        ],
        "ContestSelection": selections,
    }


def _vote_counts(unit_id: str, votes: int) -> Json:
    return {**_typed("VoteCounts"), "Type": "total", "GpUnitId": unit_id, "Count": votes}
