"""The rules of the election."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from voting_core.exceptions import InputError
from voting_core.rules import ChoiceDraw, PollingHours, age_band, age_on


@pytest.mark.parametrize(
    ("born", "day", "age"),
    [
        (date(2000, 5, 4), date(2018, 5, 3), 17),
        (date(2000, 5, 4), date(2018, 5, 4), 18),
        (date(2004, 2, 29), date(2022, 2, 28), 17),
        (date(2004, 2, 29), date(2022, 3, 1), 18),
        (date(2030, 1, 1), date(2026, 1, 1), -4),
    ],
)
def test_age_counts_completed_years(born: date, day: date, age: int) -> None:
    """A year is complete on the birthday; for a birth on 29 February, on 1 March."""
    assert age_on(born, day) == age


def test_age_bands_meet_without_gap_or_overlap() -> None:
    """Every age from 18 is within the bounds of its band."""
    bands = {age: age_band(age) for age in range(18, 120)}
    for age, band in bands.items():
        low, _, high = band.partition("-")
        assert (band == "65+" and age >= 65) or int(low) <= age <= int(high)
    assert list(dict.fromkeys(bands.values())) == [
        *("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
    ]


OPEN = datetime(2026, 11, 3, 7, 0, tzinfo=timezone(timedelta(hours=-5)))
CLOSE = datetime(2026, 11, 4, 1, 0, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("time", "counts"),
    [
        (OPEN - MILLISECOND, False),
        (OPEN, True),
        (OPEN.astimezone(UTC), True),
        (CLOSE - MILLISECOND, True),
        (CLOSE, False),
        (CLOSE + MILLISECOND, False),
    ],
)
def test_the_opening_is_inclusive_and_the_closing_exclusive(time: datetime, counts: bool) -> None:
    """A ballot at the opening counts, one at the closing does not, in any time zone."""
    assert (PollingHours(OPEN, CLOSE).violation(time) is None) is counts


def test_a_limit_that_is_not_set_does_not_apply() -> None:
    """Only a limit that is set refuses ballots, and the reason contains it."""
    early, late = OPEN - timedelta(days=9999), CLOSE + timedelta(days=9999)
    assert [PollingHours().violation(time) for time in (early, late)] == [None, None]
    assert PollingHours(open=OPEN).violation(late) is None
    assert PollingHours(close=CLOSE).violation(early) is None
    assert PollingHours(open=OPEN).violation(early) == (
        "cast before the polls opened at 2026-11-03T07:00:00-05:00"
    )
    assert PollingHours(close=CLOSE).violation(late) == (
        "cast after the polls closed at 2026-11-04T01:00:00+00:00"
    )


def voters(count: int) -> list[str]:
    """Return the ids of some voters."""
    return [f"voter-{number}" for number in range(count)]


def test_draw_repeats_itself() -> None:
    """The same voter and seed give the same choice, in any order of the candidates."""
    one = ChoiceDraw.over(["a", "b", "c"], "seed")
    other = ChoiceDraw.over(["c", "b", "a"], "seed")
    assert [one.choice(v) for v in voters(200)] == [other.choice(v) for v in voters(200)]


def test_draw_has_not_changed() -> None:
    """Draws equal those of earlier versions, so that elections can be repeated."""
    draw = ChoiceDraw.over(["a", "b", "c"], "seed")
    assert "".join(draw.choice(v) for v in voters(20)) == "cabbccbabcacbbccaaaa"


def test_another_seed_draws_another_election() -> None:
    """Two seeds give different choices."""
    choices = [[ChoiceDraw.over(["a", "b"], seed).choice(v) for v in voters(100)] for seed in "xy"]
    assert choices[0] != choices[1]


def test_draw_follows_the_weights() -> None:
    """Shares approximate the weights; a candidate without a weight is never drawn."""
    draw = ChoiceDraw.over(["a", "b", "c"], "seed", {"a": 3, "c": 1})
    shares = Counter(draw.choice(v) for v in voters(20_000))
    assert set(shares) == {"a", "c"}
    # Three standard deviations of a binomial distribution with p = 3/4.
    assert abs(shares["a"] - 15_000) < 3 * (20_000 * 0.75 * 0.25) ** 0.5


@pytest.mark.parametrize("weights", [{"x": 1.0}, {"a": -1.0}, {"a": 0.0}, {"a": float("inf")}])
def test_invalid_weights_are_refused(weights: dict[str, float]) -> None:
    """Weights of unknown candidates, and negative, infinite or all-zero weights, are refused."""
    with pytest.raises(InputError):
        ChoiceDraw.over(["a", "b"], "seed", weights)
