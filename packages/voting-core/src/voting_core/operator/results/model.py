"""The data of the results, other than the votes."""

import enum
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime

import attrs

from voting_core.models import Candidate, Coordinates
from voting_core.operator.coverage import Partition


class ResultsStatus(enum.StrEnum):
    """The status of results, in the terms of NIST SP 1500-100."""

    CERTIFIED = "certified"
    UNOFFICIAL_COMPLETE = "unofficial-complete"
    UNOFFICIAL_PARTIAL = "unofficial-partial"

    @property
    def is_complete(self) -> bool:
        """Whether every ballot that was sent is decided and counted."""
        return self is not ResultsStatus.UNOFFICIAL_PARTIAL


@attrs.frozen(kw_only=True)
class Election:
    """The election whose results are published.

    Attributes:
        contest: The office, such as "US PRESIDENT".
        type: An `ElectionType` of NIST SP 1500-100.
        issuer: Publisher of the results.
        jurisdiction: The whole area of the election.
        jurisdiction_type: A `ReportingUnitType` of NIST SP 1500-100.
        location_type: The `ReportingUnitType` of each location.
        is_test: Whether this is a rehearsal.
    """

    name: str
    contest: str
    type: str
    start_date: date
    end_date: date
    issuer: str
    issuer_abbreviation: str
    jurisdiction: str
    jurisdiction_type: str
    location_type: str
    is_test: bool


@attrs.frozen
class LoggedVote:
    """A vote in the vote log."""

    voter_id: str
    candidate_id: str
    location: str
    voting_time: datetime
    coordinates: Coordinates


@attrs.frozen
class PartitionCount:
    """The number of votes or rejections in one partition, and the highest offset among them."""

    records: int
    last_offset: int


NO_RECORDS = PartitionCount(0, -1)


@attrs.define
class VoteLogTotals:
    """The totals of a vote log; their size does not depend on the number of votes.

    Attributes:
        by_location: Votes by location and candidate_id.
        by_partition: Votes by partition of `voters_topic`.
    """

    by_location: Counter[tuple[str, str]] = attrs.field(factory=Counter, init=False)
    by_partition: dict[Partition, PartitionCount] = attrs.field(factory=dict, init=False)

    def add(self, vote: LoggedVote) -> None:
        """Add one vote."""
        self.by_location[vote.location, vote.candidate_id] += 1
        source = vote.coordinates
        partition = (source.topic_id, source.partition)
        known = self.by_partition.get(partition, NO_RECORDS)
        self.by_partition[partition] = PartitionCount(
            known.records + 1, max(known.last_offset, source.offset)
        )

    @property
    def votes(self) -> int:
        """All votes."""
        return self.by_location.total()


@attrs.frozen(kw_only=True)
class Canvass:
    """The data that, with the totals of the vote log, determines every result file.

    Attributes:
        created: Time of creation, in whole seconds.
        software: Name and version of the program.
        candidates: All candidates, in the order of their ids.
        registered: Number of registered voters by location.
        rejections: Number of rejections by reason.
    """

    election: Election
    status: ResultsStatus
    created: datetime
    software: str
    candidates: tuple[Candidate, ...]
    registered: Mapping[str, int]
    rejections: Mapping[str, int]

    def locations(self, totals: VoteLogTotals) -> dict[str, int]:
        """Return the registered voters of every location with voters or votes."""
        names = {*self.registered, *(location for location, _ in totals.by_location)}
        return {name: self.registered.get(name, 0) for name in sorted(names)}
