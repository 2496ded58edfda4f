"""What must agree in every election, whatever was sent.

This knows nothing of the system but its rules, which it applies a second time.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from testkit.checker.evidence import Evidence, Key, StoredVote, Total
from testkit.checker.problems import Problems

__all__ = ["check_decisions", "check_tallies", "expected_totals", "find_problems"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def find_problems(evidence: Evidence, *, tallied: bool = False) -> list[str]:
    """Return a sentence about everything that does not agree.

    Args:
        evidence: The content of the data stores, with no service at work.
        tallied: Whether the stream has counted all votes, so that its totals are checked too.
    """
    problems = Problems()
    check_decisions(evidence, problems)
    if tallied:
        check_tallies(evidence, problems)
    return problems.sentences


def check_decisions(evidence: Evidence, problems: Problems) -> None:
    """Check that every record has one decision, stored as it was cast and published once."""
    _check_one_decision_per_record(evidence, problems)
    _check_votes(evidence, problems)
    _check_published(evidence, problems)


def _check_one_decision_per_record(evidence: Evidence, problems: Problems) -> None:
    decided = Counter(vote.position for vote in evidence.votes)
    decided.update(position for position, _ in evidence.rejections)
    sent = Counter(ballot.position for ballot in evidence.sent)
    problems.compare("records without exactly one decision", sent, decided)


def _check_votes(evidence: Evidence, problems: Problems) -> None:
    """Check that every vote agrees with its record and the register.

    Where the record has no choice, any candidate may have been drawn.
    """
    sent = {ballot.position: ballot for ballot in evidence.sent}
    wrong = []
    for vote in evidence.votes:
        ballot, voter = sent.get(vote.position), evidence.voters.get(vote.voter_id)
        if ballot is None or voter is None:
            wrong.append(f"{vote.voter_id}: no such record, or no such voter in the register")
            continue
        time = _EPOCH + timedelta(milliseconds=ballot.time)
        expected = StoredVote(
            voter_id=ballot.voter_id,
            candidate_id=vote.candidate_id if ballot.choice is None else ballot.choice,
            time=time.replace(tzinfo=None),
            state=voter.state,
            gender=voter.gender,
            age=_age(voter.date_of_birth, time.date()),
            position=vote.position,
        )
        if vote != expected:
            wrong.append(f"{vote} instead of {expected}")
    problems.add("votes do not agree with their records and the register", wrong)


def _check_published(evidence: Evidence, problems: Problems) -> None:
    problems.compare(
        "votes differ between table and topic",
        Counter(
            (v.voter_id, v.candidate_id, _iso(v.time), v.state, v.gender, v.age)
            for v in evidence.votes
        ),
        Counter(
            (v.voter_id, v.candidate_id, v.time, v.state, v.gender, v.age)
            for v in evidence.published_votes
        ),
    )
    problems.compare(
        "rejections differ between table and topic",
        Counter(evidence.rejections),
        Counter(evidence.published_rejections),
    )


def check_tallies(evidence: Evidence, problems: Problems) -> None:
    """Check that every total is that of the stored votes, and that no total has ever decreased."""
    problems.add(
        "ids of votes_topic are named by the totals",
        evidence.counted_topic_ids if len(evidence.counted_topic_ids) > 1 else [],
    )
    for topic, expected in expected_totals(evidence).items():
        totals = evidence.totals[topic]
        last = {key: total.last for key, total in totals.items()}
        problems.compare(f"totals of {topic} differ from the table", expected, last)
        problems.add(f"last totals of {topic} are not the highest", _regressed(totals))


def expected_totals(evidence: Evidence) -> dict[str, Counter[Key]]:
    """Return the totals of each aggregate topic as the stored votes make them."""
    votes = evidence.votes

    def count(*keys: Iterable[Any]) -> Counter[Key]:
        return Counter(key for group in keys for key in group)

    return {
        "aggregated_votes_per_candidate": count((v.candidate_id,) for v in votes),
        "aggregated_turnout_by_location": count((v.state,) for v in votes),
        "aggregated_votes_per_candidate_by_location": count(
            (v.state, v.candidate_id) for v in votes
        ),
        "aggregated_turnout_by_demographic": count(
            (("gender", v.gender) for v in votes), (("age_band", _age_band(v.age)) for v in votes)
        ),
        "aggregated_votes_over_time": count((_minute(v.time), v.candidate_id) for v in votes),
        "aggregated_progress": count((str(v.partition),) for v in evidence.published_votes),
    }


def _regressed(totals: Mapping[Key, Total]) -> list[str]:
    return [
        f"{key}: {total.last} after {total.highest}"
        for key, total in totals.items()
        if total.last != total.highest
    ]


def _age(date_of_birth: date, day: date) -> int:
    had_birthday = (day.month, day.day) >= (date_of_birth.month, date_of_birth.day)
    return day.year - date_of_birth.year - (not had_birthday)


def _age_band(age: int) -> str:
    for low, high in ((18, 24), (25, 34), (35, 44), (45, 54), (55, 64)):
        if low <= age <= high:
            return f"{low}-{high}"
    return "65+"


def _iso(time: datetime) -> str:
    return f"{time.isoformat(timespec='milliseconds')}Z"


def _minute(time: datetime) -> str:
    return f"{time.isoformat(timespec='minutes')}:00Z"
