"""What was lost or counted twice, from the evidence alone.

Apart from the evidence's own records this knows nothing of the system but its rules.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import attrs

from chaos.evidence import Cast, Evidence, Total, Vote

__all__ = ["Verdict", "judge"]

EXAMPLES = 3
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BY_BOTH = "aggregated_votes_per_candidate_by_location"

Key = tuple[str, ...]


@attrs.frozen(kw_only=True)
class Verdict:
    """The figures of the report.

    Attributes:
        lost: Ballots that a place lacks, by place.
        duplicated: Ballots that a place counts beyond once, by place.
        read: Records on voters_topic.
        accepted: Rows of the table `votes`.
        rejected: Rows of the table `rejections` by reason.
        resent: Records on voters_topic beyond the first of a voter.
        problems: What is wrong, in words; lost and duplicated ballots included.
    """

    lost: Mapping[str, int]
    duplicated: Mapping[str, int]
    read: int
    accepted: int
    rejected: Mapping[str, int]
    resent: int
    problems: list[str]

    @property
    def clean(self) -> bool:
        """Whether every ballot was counted exactly once, everywhere."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """Return the figures as the report has them."""
        return {**attrs.asdict(self), "rejected": dict(sorted(self.rejected.items()))}


class _Problems:
    """Collects sentences, a few examples of each sort."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def note(self, what: str, found: Iterable[object]) -> None:
        """Note that something is wrong with these; nothing if there are none."""
        listed = list(found)
        if listed:
            shown = ", ".join(str(example) for example in listed[:EXAMPLES])
            self.sentences.append(f"{len(listed)} {what}, such as {shown}")

    def compare(self, what: str, expected: Mapping[Any, int], found: Mapping[Any, int]) -> None:
        """Note the keys whose numbers differ."""
        self.note(
            what,
            [
                f"{key}: {found.get(key, 0)} instead of {expected.get(key, 0)}"
                for key in sorted(expected.keys() | found.keys(), key=str)
                if found.get(key, 0) != expected.get(key, 0)
            ],
        )


def judge(evidence: Evidence) -> Verdict:
    """Compare what was sent with what every place holds."""
    problems = _Problems()
    first = _first_casts(evidence.cast)
    _check_source(evidence, first, problems)
    _check_decisions(evidence, problems)
    _check_votes(evidence, problems)
    _check_topics(evidence, problems)

    meant = evidence.source
    names = evidence.candidates
    stored = Counter(
        (names.get(vote.candidate_id, vote.candidate_id), vote.state) for vote in evidence.votes
    )
    on_topic = Counter(
        (names.get(vote.candidate_id, vote.candidate_id), vote.state) for vote in evidence.published
    )
    lost, duplicated = {}, {}
    for place, totals, voters in (
        ("votes", stored, [vote.voter_id for vote in evidence.votes]),
        ("votes_topic", on_topic, [vote.voter_id for vote in evidence.published]),
    ):
        # A loss and a repetition could make up for each other in the totals, not by voter.
        by_voter = Counter(voters)
        lost[place] = max((meant - totals).total(), len(first.keys() - by_voter.keys()))
        duplicated[place] = max((totals - meant).total(), by_voter.total() - len(by_voter))
        problems.compare(f"totals of {place} differ from the source", meant, totals)
    lost["aggregates"], duplicated["aggregates"] = _check_totals(evidence, problems)
    for what, numbers in (("lost", lost), ("duplicated", duplicated)):
        problems.note(
            f"places where ballots are {what}", [f"{p}: {n}" for p, n in numbers.items() if n]
        )
    rejected = Counter(reason for _, reason in evidence.rejections)
    return Verdict(
        lost=lost,
        duplicated=duplicated,
        read=len(evidence.cast),
        accepted=len(evidence.votes),
        rejected=dict(rejected),
        resent=len(evidence.cast) - len(first),
        problems=problems.sentences,
    )


def _first_casts(cast: Iterable[Cast]) -> dict[str, Cast]:
    first: dict[str, Cast] = {}
    for each in cast:
        first.setdefault(each.voter_id, each)
    return first


def _check_source(evidence: Evidence, first: Mapping[str, Cast], problems: _Problems) -> None:
    """Everybody whom the source has was sent, with the source's choice."""
    sent = Counter(
        (evidence.candidates.get(each.choice, each.choice), each.state) for each in first.values()
    )
    problems.compare("totals of voters_topic differ from the source", evidence.source, sent)


def _check_decisions(evidence: Evidence, problems: _Problems) -> None:
    """Every record ended as one vote or one rejection, and for the only reason there can be."""
    decided = Counter([vote.place for vote in evidence.votes])
    decided.update(place for place, _ in evidence.rejections)
    read = Counter(each.place for each in evidence.cast)
    problems.compare("records without exactly one decision", read, decided)
    problems.note(
        "rejections for another reason than already_voted",
        [rejection for rejection in evidence.rejections if rejection[1] != "already_voted"],
    )
    problems.compare(
        "rejections differ between table and topic",
        Counter(evidence.rejections),
        Counter(evidence.rejections_published),
    )


def _check_votes(evidence: Evidence, problems: _Problems) -> None:
    """Every vote is what its record and the register say."""
    cast = {each.place: each for each in evidence.cast}
    wrong = []
    for vote in evidence.votes:
        record = cast.get(vote.place)
        voter = evidence.register.get(vote.voter_id)
        if record is None or voter is None:
            wrong.append(f"{vote.voter_id}: no such record, or nobody registered")
            continue
        time = _EPOCH + timedelta(milliseconds=record.time)
        expected = Vote(
            voter_id=record.voter_id,
            candidate_id=record.choice,
            time=time.replace(tzinfo=None),
            state=voter.state,
            gender=voter.gender,
            age=_age(voter.born, time.date()),
            place=vote.place,
        )
        if vote != expected:
            wrong.append(f"{vote} instead of {expected}")
    problems.note("votes are not what their records say", wrong)


def _check_topics(evidence: Evidence, problems: _Problems) -> None:
    """The topic holds of each vote what the table does."""
    stored = Counter(
        (v.voter_id, v.candidate_id, _iso(v.time), v.state, v.gender, v.age) for v in evidence.votes
    )
    published = Counter(
        (v.voter_id, v.candidate_id, v.time, v.state, v.gender, v.age) for v in evidence.published
    )
    problems.compare("votes differ between table and topic", stored, published)


def _check_totals(evidence: Evidence, problems: _Problems) -> tuple[int, int]:
    """Every total equals the table's and the source's, and the last of each key is its highest.

    Returns:
        Ballots lost and ballots counted twice, in the topic where they are the most.
    """
    problems.note(
        "ids of votes_topic are named by the totals",
        evidence.counted_topics if len(evidence.counted_topics) > 1 else [],
    )
    names = evidence.candidates
    by_both = Counter(
        {
            (names.get(candidate_id, candidate_id), state): total.last
            for (state, candidate_id), total in evidence.totals[_BY_BOTH].items()
        }
    )
    problems.compare("aggregates differ from the source", evidence.source, by_both)
    lost = (evidence.source - by_both).total()
    duplicated = (by_both - evidence.source).total()
    for topic, expected in _expected_totals(evidence).items():
        totals = evidence.totals[topic]
        last = Counter({key: total.last for key, total in totals.items()})
        highest = Counter({key: total.highest for key, total in totals.items()})
        # The demographic topic counts everybody once in each of its two dimensions.
        times = 2 if topic == "aggregated_turnout_by_demographic" else 1
        lost = max(lost, -(-(expected - last).total() // times))
        duplicated = max(duplicated, -(-(highest - expected).total() // times))
        problems.compare(f"totals of {topic} differ from the table", expected, last)
        problems.note(f"last totals of {topic} are not the highest", _regressed(totals))
    return lost, duplicated


def _regressed(totals: Mapping[Key, Total]) -> list[str]:
    return [
        f"{key}: {total.last} after {total.highest}"
        for key, total in totals.items()
        if total.last != total.highest
    ]


def _expected_totals(evidence: Evidence) -> dict[str, Counter[Key]]:
    votes = evidence.votes

    def count(*keys: Iterable[Hashable]) -> Counter[Any]:
        return Counter(key for some in keys for key in some)

    return {
        "aggregated_votes_per_candidate": count((v.candidate_id,) for v in votes),
        "aggregated_turnout_by_location": count((v.state,) for v in votes),
        _BY_BOTH: count((v.state, v.candidate_id) for v in votes),
        "aggregated_turnout_by_demographic": count(
            (("gender", v.gender) for v in votes), (("age_band", _band(v.age)) for v in votes)
        ),
        "aggregated_votes_over_time": count((_minute(v.time), v.candidate_id) for v in votes),
        "aggregated_progress": count((str(v.partition),) for v in evidence.published),
    }


def _age(born: date, day: date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def _band(age: int) -> str:
    for low, high in ((18, 24), (25, 34), (35, 44), (45, 54), (55, 64)):
        if low <= age <= high:
            return f"{low}-{high}"
    return "65+"


def _iso(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M}:00Z"
