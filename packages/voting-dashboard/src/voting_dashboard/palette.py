"""One colour for each candidate, the same as long as the same candidates stand.

The colours are those of Okabe and Ito, "Color Universal Design" (2008), which people with any
common kind of colour blindness can tell apart. Their yellow is left out: it vanishes on white.
"""

from collections.abc import Iterable

from voting_dashboard.snapshot import Candidate

__all__ = ["OTHERS", "colours"]

OTHERS = "#9a9a9a"
"""Colour of several candidates taken together."""

_BLUE, _VERMILION, _GREEN, _ORANGE = "#0072b2", "#d55e00", "#009e73", "#e69f00"
_PINK, _SKY, _DARK = "#cc79a7", "#56b4e9", "#444444"
_PALETTE = (_BLUE, _VERMILION, _GREEN, _ORANGE, _PINK, _SKY, _DARK)

# Each a grey level to go towards, and how far.
_TONES = ((0, 0.0), (255, 0.45), (0, 0.4))

# Where readers expect a party in a colour, it gets the nearest of these.
_CUSTOMARY = {"democrat": _BLUE, "republican": _VERMILION, "green": _GREEN, "libertarian": _ORANGE}


def colours(candidates: Iterable[Candidate]) -> dict[str, str]:
    """Return a colour by candidate id, whatever the order of the candidates and their votes.

    The first candidates (by id) get all of the palette, further ones paler and then darker tones.
    """
    free = [_tone(colour, towards, by) for towards, by in _TONES for colour in _PALETTE]
    standing = sorted(candidates, key=lambda candidate: candidate.candidate_id)
    given: dict[str, str] = {}
    for candidate in standing:
        party = candidate.party.casefold()
        colour = next((c for word, c in _CUSTOMARY.items() if party.startswith(word)), None)
        if colour in free:
            given[candidate.candidate_id] = colour
            free.remove(colour)
    for candidate in standing:
        if candidate.candidate_id not in given:
            given[candidate.candidate_id] = free.pop(0) if free else OTHERS
    return given


def _tone(colour: str, towards: int, by: float) -> str:
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(part + (towards - part) * by):02x}" for part in parts)
