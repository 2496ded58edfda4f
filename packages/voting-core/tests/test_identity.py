"""The check that neither store is an older backup than the other."""

from collections.abc import Mapping
from typing import cast

import psycopg
import pytest

from voting_core.database import decisions
from voting_core.exceptions import ElectionError
from voting_core.service.identity import check_decided_records, check_earlier_decisions


def test_the_database_must_have_the_last_published_decisions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The record before the end of what was published is looked up; without one there is none."""
    decided = {(3, 9)}
    conn = cast(psycopg.Connection, None)

    def missing(_: psycopg.Connection, topic: str, offsets: Mapping[int, int]) -> dict[int, int]:
        return dict(offsets.items() - decided)

    monkeypatch.setattr(decisions, "missing_decisions", missing)
    check_earlier_decisions(conn, "T", {3: 10, 4: 0})
    with pytest.raises(ElectionError, match=r"record 11 of partition 3.*recover.md"):
        check_earlier_decisions(conn, "T", {3: 12, 4: 0})


@pytest.mark.parametrize("decided_ends", [{3: 12}, {3: 0, 4: 0}, {}])
def test_every_decided_record_exists(decided_ends: Mapping[int, int]) -> None:
    """The log may be longer than what is decided."""
    check_decided_records(decided_ends, {3: 12})


@pytest.mark.parametrize(
    ("decided_ends", "named"),
    [
        ({3: 13}, "decision on record 12 of partition 3 of voters_topic, which ends at 12"),
        ({5: 1}, "partition 5"),
    ],
)
def test_a_decision_on_a_missing_record_is_refused(
    decided_ends: Mapping[int, int], named: str
) -> None:
    """Kafka is older then."""
    with pytest.raises(ElectionError, match=named):
        check_decided_records(decided_ends, {3: 12})
