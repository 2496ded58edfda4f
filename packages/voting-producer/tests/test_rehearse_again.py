"""Exported results can be rehearsed."""

from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

from voting_core.models import Candidate, Coordinates
from voting_core.operator.results.model import (
    Canvass,
    Election,
    LoggedVote,
    ResultsStatus,
    VoteLogTotals,
)
from voting_core.operator.results.tables import results_csv
from voting_producer.sources.results import voters_per_row
from voting_producer.sources.results_file import read_results

CANVASS = Canvass(
    election=Election(
        name="Election",
        contest="US PRESIDENT",
        type="general",
        start_date=date(2020, 11, 3),
        end_date=date(2020, 11, 3),
        issuer="Office",
        issuer_abbreviation="O",
        jurisdiction="All",
        jurisdiction_type="country",
        location_type="state",
        is_test=True,
    ),
    status=ResultsStatus.CERTIFIED,
    created=datetime(2020, 11, 5, tzinfo=UTC),
    software="voting-core 0",
    candidates=(Candidate("a", 'Ada "A", the first', "Ant"), Candidate("b", "Bo", "")),
    registered={"OHIO": 3, "UTAH": 1},
    rejections={},
)


def test_exported_results_give_the_same_count(tmp_path: Path) -> None:
    """A results.csv is read as a results file and gives a voter for each vote, scale 1."""
    totals = VoteLogTotals()
    cast = [("a", "OHIO"), ("a", "OHIO"), ("b", "OHIO"), ("b", "IOWA")]
    for number, (candidate, location) in enumerate(cast):
        time = datetime(2020, 11, 3, tzinfo=UTC)
        totals.add(LoggedVote(str(number), candidate, location, time, Coordinates("t", 0, number)))
    (tmp_path / "results.csv").write_bytes(results_csv(CANVASS, totals))
    found = read_results(tmp_path / "results.csv")
    assert found.parties == {'Ada "A", the first': "Ant", "Bo": ""}
    names = {candidate.candidate_id: candidate.candidate_name for candidate in CANVASS.candidates}
    voters = {
        (row.candidate, row.state): count for row, count in voters_per_row(found.rows, 1) if count
    }
    assert voters == Counter((names[candidate], location) for candidate, location in cast)
