"""What the results are made of, besides the votes themselves."""

import enum
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime

import attrs

from voting_core.models import Candidate, Coordinates

__all__ = [
    "Canvass",
    "Election",
    "LoggedVote",
    "Partition",
    "PartitionCount",
    "ResultsStatus",
    "Tally",
]

Partition = tuple[str, int]
"""A partition of a topic: the topic's id, the partition's number."""


class ResultsStatus(enum.StrEnum):
    """How final results are, in the words of NIST SP 1500-100."""

    CERTIFIED = "certified"
    UNOFFICIAL_COMPLETE = "unofficial-complete"
    UNOFFICIAL_PARTIAL = "unofficial-partial"

    @property
    def is_complete(self) -> bool:
        """Whether every ballot that was sent is in."""
        return self is not ResultsStatus.UNOFFICIAL_PARTIAL


@attrs.frozen(kw_only=True)
class Election:
    """What was voted on, where and when.

    Attributes:
        name: Such as "General election 2020".
        contest: What the candidates stand for, such as "US PRESIDENT".
        type: An `ElectionType` of NIST SP 1500-100.
        start_date: First day of voting.
        end_date: Last day of voting.
        issuer: Who publishes the results.
        issuer_abbreviation: The same in short.
        jurisdiction: Everywhere that votes are counted for.
        jurisdiction_type: A `ReportingUnitType` of NIST SP 1500-100.
        location_type: The same for each location within.
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
    """A vote as the vote log holds it."""

    voter_id: str
    candidate_id: str
    location: str
    voting_time: datetime
    coordinates: Coordinates


@attrs.frozen
class PartitionCount:
    """The decisions of one kind on the records of one partition.

    Attributes:
        records: How many.
        last_offset: The highest offset among them.
    """

    records: int
    last_offset: int


@attrs.define
class Tally:
    """The votes added up; its size depends on candidates and locations, not on votes.

    Attributes:
        by_location: Votes by location and candidate_id.
        by_partition: Votes by the partition that they came from.
    """

    by_location: Counter[tuple[str, str]] = attrs.field(factory=Counter, init=False)
    by_partition: dict[Partition, PartitionCount] = attrs.field(factory=dict, init=False)

    def add(self, vote: LoggedVote) -> None:
        """Count one vote."""
        self.by_location[vote.location, vote.candidate_id] += 1
        place = vote.coordinates
        partition = (place.topic_id, place.partition)
        known = self.by_partition.get(partition)
        if known is None:
            self.by_partition[partition] = PartitionCount(1, place.offset)
        else:
            self.by_partition[partition] = PartitionCount(
                known.records + 1, max(known.last_offset, place.offset)
            )

    @property
    def votes(self) -> int:
        """All votes."""
        return self.by_location.total()


@attrs.frozen(kw_only=True)
class Canvass:
    """What the results say besides the votes; with their tally it determines every result file.

    Attributes:
        election: What was voted on.
        status: How final the results are.
        created: When they were drawn up, in whole seconds.
        software: Name and version of the program that did it.
        candidates: All who stood, in the order of their ids.
        registered: Registered voters of each location.
        rejections: Records that were not counted, by reason.
    """

    election: Election
    status: ResultsStatus
    created: datetime
    software: str
    candidates: tuple[Candidate, ...]
    registered: Mapping[str, int]
    rejections: Mapping[str, int]

    def locations(self, tally: Tally) -> dict[str, int]:
        """Return the registered voters of every location, also of those that have only votes."""
        names = {*self.registered, *(location for location, _ in tally.by_location)}
        return {name: self.registered.get(name, 0) for name in sorted(names)}
