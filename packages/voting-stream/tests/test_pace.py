"""The pace of the count."""

from voting_stream.pace import Pace


def test_the_pace_is_that_of_the_last_five_seconds() -> None:
    """Neither a shorter burst nor what was long ago counts."""
    now = 0.0
    pace = Pace(lambda: now)
    assert pace.votes_per_second == 0
    for now, votes, expected in [
        (0.0, 1_000, 0),
        (1.0, 11_000, 0),
        (4.9, 11_000, 0),
        (5.0, 11_000, 2_000),
        (6.0, 21_000, 2_000),
        (7.0, 21_000, 10_000 / 6),
        (10.0, 21_000, 2_000),
        (11.0, 21_000, 0),
        (100.0, 21_000, 0),
    ]:
        pace.add(votes)
        assert pace.votes_per_second == expected, now
