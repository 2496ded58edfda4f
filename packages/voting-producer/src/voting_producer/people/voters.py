"""Plausible voters, derived from the bytes of a digest alone.

The same digest gives the same voter on any machine and any day. Each property comes from its own
bytes, so that the properties are independent.
"""

import struct
from bisect import bisect_right
from datetime import date
from itertools import accumulate, pairwise

from voting_core.models import Address, Voter
from voting_producer.people.names import CITIES, FEMALE_NAMES, MALE_NAMES, STREETS, SURNAMES
from voting_producer.people.states import STATES, State

DIGEST_BYTES = 48
"""Length of the digest of a voter; the first 16 bytes are the voter_id."""

REFERENCE_DAY = date(2024, 11, 5)
"""The day of registration, which ages and dates of birth refer to instead of today."""

# Adults in the US in 2020, in millions, by the first year of the age band.
_ADULTS = {18: 30.8, 25: 45.9, 35: 42.9, 45: 40.9, 55: 42.4, 65: 32.5, 75: 16.4, 85: 5.2, 95: 1.0}
_OLDEST = 101

# Turnout of an age band relative to that of all ages, by the first year of the band.
_TURNOUT_FACTOR = {
    18: 0.80,
    25: 0.89,
    35: 0.97,
    45: 1.03,
    55: 1.08,
    65: 1.14,
    75: 1.08,
    85: 0.95,
    95: 0.8,
}

_FEMALE_SHARE = 0.513 * 65536

_INITIALS = "ABCDEFGHIJKLMNOPRSTVW"


def _by_year(bands: dict[int, float]) -> dict[int, tuple[float, int]]:
    """Return for each year of age the value of its band and the number of years in the band."""
    starts = [*sorted(bands), _OLDEST]
    return {
        age: (bands[low], high - low) for low, high in pairwise(starts) for age in range(low, high)
    }


def _age_table(size: int) -> tuple[int, ...]:
    weights = {age: people / years for age, (people, years) in _by_year(_ADULTS).items()}
    ends = list(accumulate(weights.values()))
    ages = list(weights)
    return tuple(ages[bisect_right(ends, (n + 0.5) / size * ends[-1])] for n in range(size))


_AGES = _age_table(1 << 16)
_TURNOUT_FACTOR_OF = {age: factor for age, (factor, _) in _by_year(_TURNOUT_FACTOR).items()}
_BIRTHDAYS = {
    age: REFERENCE_DAY.replace(year=REFERENCE_DAY.year - age).toordinal()
    for age in _TURNOUT_FACTOR_OF
}
_STATE_ENDS = list(accumulate(state.population for state in STATES))


# After the voter_id (16 bytes) and the state (4 bytes), each property has 16 bits: first the
# turnout, then those that invent_voter unpacks.
_PARTS = struct.Struct(">22x13H")
_TURNOUT = struct.Struct(">20xH26x")
_AGE = struct.Struct(">30xH16x")


def sample_state(digest: bytes) -> State:
    """Draw the state that the voter lives in, in proportion to the population."""
    point = int.from_bytes(digest[16:20], "big") * _STATE_ENDS[-1] >> 32
    return STATES[bisect_right(_STATE_ENDS, point)]


def sample_age(digest: bytes) -> int:
    """Draw the age in years of the voter that `invent_voter` returns for the digest."""
    point: int = _AGE.unpack(digest)[0]
    return _AGES[point]


def sample_turnout(digest: bytes, state: State, age: int) -> bool:
    """Draw whether the voter casts a ballot, which depends on the state and on the age in years."""
    (point,) = _TURNOUT.unpack(digest)
    return bool(point < state.turnout * _TURNOUT_FACTOR_OF[age] * 655.36)


def invent_voter(digest: bytes, state: State, choice: str | None = None) -> Voter:
    """Return a fictitious voter of 18 to 100 years.

    Args:
        digest: `DIGEST_BYTES` uniformly distributed bytes.
        state: Where the voter lives.
        choice: The candidate_id on the ballot; None if the source has no choices.
    """
    (sex, given, family, middle, years, days, house, street, city, zone, rest, region, line) = (
        _PARTS.unpack(digest)
    )
    voter_id = digest[:16].hex()
    if sex < _FEMALE_SHARE:
        gender, first = "female", FEMALE_NAMES[given % len(FEMALE_NAMES)]
    else:
        gender, first = "male", MALE_NAMES[given % len(MALE_NAMES)]
    last = SURNAMES[family % len(SURNAMES)]
    age = _AGES[years]
    zones = state.zip_zones
    return Voter(
        voter_id,
        f"{first} {_INITIALS[middle % len(_INITIALS)]}. {last}",
        # Up to 364 days before the birthday on REFERENCE_DAY, which leaves the age on it as it is.
        date.fromordinal(_BIRTHDAYS[age] - days % 365),
        gender,
        Address(
            state.name,
            f"{house % 4999 + 1} {STREETS[street % len(STREETS)]}",
            CITIES[city % len(CITIES)],
            state.country,
            f"{zones[zone % len(zones)]}{rest % 10000:04d}",
        ),
        "US" if state.country else "",
        f"R{voter_id[:12]}",
        f"{first}.{last}.{voter_id[:6]}@example.com".lower(),
        # 555-0100 to 555-0199 are reserved for fiction.
        f"({region % 789 + 201}) 555-01{line % 100:02d}",
        "",
        age,
        choice,
    )
